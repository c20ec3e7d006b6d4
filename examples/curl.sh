#!/usr/bin/env bash
# Pays for a page with curl and node's JSON alone: BURSAR_URL, BURSAR_TOKEN and the page's URL.
#   BURSAR_URL=http://127.0.0.1:4020 BURSAR_TOKEN=... examples/curl.sh http://127.0.0.1:4022/data/7
set -euo pipefail
url=$1
key=$(printf %s "${2:-$url}" | sha256sum | cut -d ' ' -f 1) # one key a purchase: name another to buy again
terms=$(curl -sS -o /dev/null -D - "$url" | tr -d '\r' | sed -n 's/^payment-required: //Ip')
order=$(printf '{"paymentRequired":"%s","request":{"method":"GET","url":"%s"}}' "$terms" "$url")
answer=$(curl -sS "$BURSAR_URL/v1/payments" -H "Authorization: Bearer $BURSAR_TOKEN" \
  -H "Idempotency-Key: $key" -H 'Content-Type: application/json' -d "$order")
# An answer has the header to pay with (201), a payment that waits for an approval (202), or a problem's code and detail.
header=$(node -e '
  let answer = { code: "no_answer", detail: `${process.env.BURSAR_URL} answered no JSON` };
  try { answer = JSON.parse(process.argv[1]); } catch {}
  const { header, payment, code, detail } = answer;
  const approve = `an admin runs: npx bursar approvals approve ${payment?.id}; then run this again`;
  if (header) console.log(`${header.name}: ${header.value}`);
  else console.error(code ? `${code}: ${detail}` : `payment ${payment.id} waits for an approval; ${approve}`);
  process.exit(header ? 0 : 1);
' "$answer")
curl -sS --fail-with-body "$url" -H "$header"
