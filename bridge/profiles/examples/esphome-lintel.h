// Lintel's own protocol (README, "Lintel's own protocol") for ESPHome: what esphome.yaml beside this file includes.
// Needs the components hmac_sha256 (ESPHome 2026.1 or newer), json, mqtt and time.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

namespace lintel {

/// An answer is waited for this long, and never taken twice. Milliseconds.
constexpr uint32_t PATIENCE_MS = 3000;

inline const std::string &base64url_letters() {
  static const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return letters;
}

inline std::string to_base64url(const std::vector<uint8_t> &bytes) {
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) text += base64url_letters()[bits >> (count - 6) & 63];
  }
  if (count > 0) text += base64url_letters()[bits << (6 - count) & 63];
  return text;
}

inline std::vector<uint8_t> from_base64url(const std::string &text) {
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int count = 0;
  for (char letter : text) {
    size_t value = base64url_letters().find(letter);
    if (value == std::string::npos) continue;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) bytes.push_back(bits >> (count -= 8) & 255);
  }
  return bytes;
}

/// Of the fields, each on a line of its own: HMAC-SHA-256 in base64url without padding.
inline std::string mac_of(const std::vector<uint8_t> &key, std::initializer_list<std::string> fields) {
  std::string text;
  for (const std::string &field : fields) text += (text.empty() ? "" : "\n") + field;
  esphome::hmac_sha256::HmacSHA256 hmac;
  hmac.init(key.data(), key.size());
  hmac.add(reinterpret_cast<const uint8_t *>(text.data()), text.size());
  hmac.calculate();
  std::vector<uint8_t> mac(32);
  hmac.get_bytes(mac.data());
  return to_base64url(mac);
}

/// Compares in a time that does not tell where they differ.
inline bool same(const std::string &one, const std::string &other) {
  if (one.size() != other.size()) return false;
  uint8_t difference = 0;
  for (size_t i = 0; i < one.size(); i++) difference |= one[i] ^ other[i];
  return difference == 0;
}

/// A UUID of version 4.
inline std::string new_id() {
  uint8_t raw[16];
  esphome::random_bytes(raw, sizeof(raw));
  raw[6] = (raw[6] & 0x0F) | 0x40;
  raw[8] = (raw[8] & 0x3F) | 0x80;
  std::string text;
  for (int i = 0; i < 16; i++) {
    char hex[3];
    snprintf(hex, sizeof(hex), "%02x", raw[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += hex;
  }
  return text;
}

/// What is said to Lintel and what is believed of it. With an empty key nothing is signed and every answer is believed.
class Reader {
 public:
  Reader(const std::string &topic, const std::string &key)
      : topic_(topic), answer_topic_(topic.substr(0, topic.rfind('/')) + "/answer"), key_(from_base64url(key)) {}

  /// The message that says so. `now` is Unix seconds, `ms` millis(); `card` is hex, separators are left out.
  std::string scan(const std::string &card, int64_t now, uint32_t ms, const std::string &id = new_id()) {
    std::string number;
    for (char letter : card) {
      if (isxdigit(static_cast<unsigned char>(letter))) number += static_cast<char>(toupper(letter));
    }
    // Grows from boot to boot too, with nothing kept, as long as the clock is right.
    counter_ = std::max(counter_ + 1, now * 1000);
    asked_id_ = id;
    asked_ms_ = ms;
    std::string time = std::to_string(now), counter = std::to_string(counter_);
    std::string json =
        "{\"id\":\"" + id + "\",\"time\":" + time + ",\"counter\":" + counter + ",\"card\":\"" + number + "\"";
    if (!key_.empty()) {
      json += ",\"mac\":\"" + mac_of(key_, {"lintel-scan-1", topic_, id, time, counter, number, ""}) + "\"";
    }
    return json + "}";
  }

  /// For how many milliseconds an answer opens the door: 0 for all but a good answer to the last scan.
  uint32_t opens_for(const std::string &id, const std::string &decision, const std::string &reason, uint32_t open_ms,
                     int64_t expires, const std::string &mac, int64_t now, uint32_t ms) {
    if (asked_id_.empty() || id != asked_id_) return 0;
    if (!key_.empty() && !same(mac, mac_of(key_, {"lintel-answer-1", answer_topic_, id, decision, reason,
                                                  std::to_string(open_ms), std::to_string(expires)}))) {
      return 0;
    }
    asked_id_.clear();
    if (decision != "granted" || now > expires || ms - asked_ms_ > PATIENCE_MS) return 0;
    return open_ms;
  }

 private:
  std::string topic_, answer_topic_;
  std::vector<uint8_t> key_;
  int64_t counter_{0};
  std::string asked_id_;
  uint32_t asked_ms_{0};
};

/// The one reader of this device, made when it is first asked for.
inline Reader &reader(const std::string &topic, const std::string &key) {
  static Reader one(topic, key);
  return one;
}

}  // namespace lintel
