# A reader for Lintel's own protocol (README, "Lintel's own protocol"), for MicroPython on an ESP32 with an RC522.
#
# In Lintel: a reader of the profile `lintel`, view `hex`, topic `lintel/reader/front-door/scan`, and its key from
# POST /api/v1/readers/{id}/key. On the board: umqtt.simple and a driver for the RC522 (`mip install umqtt.simple`), and a
# clock that is right: ntptime. The first half needs no board; it runs under CPython too.

import binascii
import hashlib
import json
import os
import time

# An answer is waited for this long, and never taken twice. Milliseconds.
PATIENCE_MS = 3000


def hmac_sha256(key, text):
    """RFC 2104, for a key of at most 64 bytes."""
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
    inner.update(text)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
    outer.update(inner.digest())
    return outer.digest()


def mac_of(key, *fields):
    """Of the fields, each on a line of its own: base64url without padding."""
    text = "\n".join([str(field) for field in fields])
    mac = binascii.b2a_base64(hmac_sha256(key, text.encode())).decode()
    return mac.strip().rstrip("=").replace("+", "-").replace("/", "_")


def key_from(text):
    """The key as Lintel showed it."""
    return binascii.a2b_base64((text.replace("-", "+").replace("_", "/") + "=").encode())


def same(one, other):
    """Compares in a time that does not tell where they differ."""
    one, other = one.encode(), other.encode()
    if len(one) != len(other):
        return False
    difference = 0
    for a, b in zip(one, other):
        difference |= a ^ b
    return difference == 0


def new_id():
    """A UUID of version 4."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = binascii.hexlify(raw).decode()
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def unix_time():
    """Seconds since 1970; boards count from 2000 or from 1970."""
    since_2000 = time.gmtime(0)[0] == 2000
    return int(time.time()) + (946684800 if since_2000 else 0)


class Reader:
    """What is said to Lintel and what is believed of it. Without a key nothing is signed and every answer is believed."""

    def __init__(self, topic, key=None):
        self.topic = topic
        self.answer_topic = topic[: topic.rindex("/")] + "/answer"
        self.key = key
        self.counter = 0
        self.asked = None

    def scan(self, card, pin="", now=None, ms=0, id=None):
        """The message that says so. `now` is Unix time in seconds, `ms` any clock of milliseconds that only goes on."""
        now = unix_time() if now is None else now
        id = id or new_id()
        # Grows from boot to boot too, with nothing kept, as long as the clock is right.
        self.counter = max(self.counter + 1, now * 1000)
        self.asked = (id, ms)
        scan = {"id": id, "time": now, "counter": self.counter, "card": card}
        if pin:
            scan["pin"] = pin
        if self.key:
            scan["mac"] = mac_of(self.key, "lintel-scan-1", self.topic, id, now, self.counter, card, pin)
        return json.dumps(scan)

    def opens_for(self, topic, payload, now=None, ms=0):
        """For how many milliseconds this message opens the door: 0 for all but a good answer to the last scan."""
        now = unix_time() if now is None else now
        try:
            answer = json.loads(payload)
            fields = [answer[name] for name in ("id", "decision", "reason", "openMs", "expires")]
            mac = str(answer.get("mac"))
            opens_ms, expires = int(answer["openMs"]), int(answer["expires"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0
        if topic != self.answer_topic or not self.asked or fields[0] != self.asked[0]:
            return 0
        if self.key and not same(mac, mac_of(self.key, "lintel-answer-1", topic, *fields)):
            return 0
        asked_ms = self.asked[1]
        self.asked = None
        if answer["decision"] != "granted" or now > expires or not 0 <= ms - asked_ms <= PATIENCE_MS:
            return 0
        return opens_ms


# The second half is the board.

BROKER, USER, PASSWORD = "192.168.1.10", "front-door", "the broker's password"
TOPIC = "lintel/reader/front-door/scan"
KEY = "the key, 43 letters"


def read_card():
    """The card's bytes in the order in which they came over the air, as hex; None when there is none. Yours to write."""
    raise NotImplementedError


def main():
    import machine
    import ntptime
    from umqtt.simple import MQTTClient

    ntptime.settime()
    synced = time.ticks_ms()
    relay = machine.Pin(26, machine.Pin.OUT, value=0)
    reader = Reader(TOPIC, key_from(KEY))
    began = time.ticks_ms()

    def ms():
        # Within a tick's round, which is days: both ends of an answer's time are.
        return time.ticks_diff(time.ticks_ms(), began)

    def hear(topic, payload):
        open_ms = reader.opens_for(topic.decode(), payload.decode(), ms=ms())
        if open_ms:
            relay(1)
            time.sleep_ms(open_ms)
            relay(0)

    client = MQTTClient("front-door", BROKER, user=USER, password=PASSWORD, keepalive=30)
    client.set_callback(hear)
    client.connect()
    client.subscribe(reader.answer_topic, qos=1)
    shown = None
    while True:
        card = read_card()
        if card and card != shown:
            client.publish(TOPIC, reader.scan(card, ms=ms()), qos=1)
        shown = card
        client.check_msg()
        if time.ticks_diff(time.ticks_ms(), synced) > 3600000:
            ntptime.settime()
            synced = time.ticks_ms()
        time.sleep_ms(20)


if __name__ == "__main__":
    main()
