-- A worker is alive, in the ledger that it knows. KEYS: workers, worker details, identity, schema.
-- ARGV: owner, details, identity ('' where none is known yet), schema ('' likewise). Returns Redis time in ms, this start of
-- the server, the identity.
local identity = call('GET', KEYS[3]) or ''
if (ARGV[3] ~= '' and identity ~= ARGV[3]) or (ARGV[4] ~= '' and call('GET', KEYS[4]) ~= ARGV[4]) then
  return redis.error_reply('OTHERLEDGER the ledger is ' .. (identity == '' and 'gone' or 'another one'))
end
local now = digits(now_ms())
call('ZADD', KEYS[1], now, ARGV[1])
call('HSET', KEYS[2], ARGV[1], ARGV[2])
return {now, run_id(), identity}
