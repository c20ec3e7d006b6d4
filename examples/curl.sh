#!/usr/bin/env bash
# Pays for a page with curl and node's JSON alone: BURSAR_URL, BURSAR_TOKEN and the page's URL.
#   BURSAR_URL=http://127.0.0.1:4020 BURSAR_TOKEN=... examples/curl.sh http://127.0.0.1:4022/data/7
set -euo pipefail
url=$1
key=$(printf %s "${2:-$url}" | sha256sum | cut -d ' ' -f 1) # one key a purchase: name another to buy again
terms=$(curl -sS -o /dev/null -D - "$url" | tr -d '\r' | sed -n 's/^payment-required: //Ip')
order=$(printf '{"paymentRequired":"%s","request":{"method":"GET","url":"%s"}}' "$terms" "$url")
signed=$(curl -sS --fail-with-body "$BURSAR_URL/v1/payments" -H "Authorization: Bearer $BURSAR_TOKEN" \
  -H "Idempotency-Key: $key" -H 'Content-Type: application/json' -d "$order") || { echo "$signed" >&2; exit 1; }
header=$(node -e 'const { header } = JSON.parse(process.argv[1]); console.log(`${header.name}: ${header.value}`)' "$signed")
curl -sS --fail-with-body "$url" -H "$header"
