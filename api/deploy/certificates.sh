#!/bin/sh
# A certificate authority of your own and, signed by it, certificates for Postgres and the broker: for machines that no public
# authority knows. What is there already stays as it is for as long as it is good for a month and more: so run it once a month, and again
# to add a name's certificate that is missing. A certificate is good for 825 days.
#   api/deploy/certificates.sh DIR NAME=HOST[,HOST...] ...
# writes DIR/ca.pem (give it to bridges and readers), DIR/ca.key (keep it elsewhere), and DIR/NAME.pem with DIR/NAME.key.
set -eu
umask 077
dir=$1
shift
mkdir -p "$dir"
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }

if [ ! -e "$dir/ca.pem" ]; then
  key "$dir/ca.key"
  openssl req -x509 -new -key "$dir/ca.key" -subj '/CN=Lintel, this site' -days 7300 -out "$dir/ca.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  chmod 644 "$dir/ca.pem"
fi
for pair in "$@"; do
  name=${pair%%=*}
  # What ends within a month is made anew; then Postgres and the broker have to read it again.
  ! openssl x509 -checkend 2592000 -noout -in "$dir/$name.pem" >/dev/null 2>&1 || continue
  names=$(echo "${pair#*=}" | tr ',' '\n' | sed -E 's/^([0-9.]+|.*:.*)$/IP:\1/; t; s/^/DNS:/' | paste -sd,)
  key "$dir/$name.key"
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n' "$names" >"$dir/$name.ext"
  openssl req -new -key "$dir/$name.key" -subj "/CN=$name" |
    openssl x509 -req -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 16)" -days 825 \
      -extfile "$dir/$name.ext" -out "$dir/$name.pem" 2>/dev/null
  rm "$dir/$name.ext"
  chmod 644 "$dir/$name.pem"
done
