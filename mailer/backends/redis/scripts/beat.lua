-- A worker is alive, in the ledger that it knows. KEYS: workers, worker details, identity, schema.
-- ARGV: owner, details, what it knows of the ledger ('' where that is nothing yet), schema ('' likewise). Returns Redis time
-- in ms, this start of the server, what it knows from now on: identity, epoch (the last beat of anybody, ms), start, and the
-- first beat of anybody. Data in which nobody has beaten yet are from before that, when nobody sent anything.
-- A server that was started again with data from before the epoch that a living worker knows has lost what came after. The
-- last moments are put back from the memory of the workers; more than that nobody can (`gate.py` acts on it).
local REMEMBERED_MS = 15000
local known, at, start, first = string.match(ARGV[3], '^([^~]*)~?(%d*)~?(%x*)~?(%d*)$')
local identity = call('GET', KEYS[3]) or ''
if (known ~= '' and identity ~= known) or (ARGV[4] ~= '' and call('GET', KEYS[4]) ~= ARGV[4]) then
  return redis.error_reply('OTHERLEDGER the ledger is ' .. (identity == '' and 'gone' or 'another one'))
end
local now, run, epoch = digits(now_ms()), run_id(), KEYS[3] .. ':epoch'
call('ZADD', KEYS[1], now, ARGV[1])
call('HSET', KEYS[2], ARGV[1], ARGV[2])
if identity == '' then return {now, run, ''} end
-- What somebody has planted there must not keep workers from beating.
if call('TYPE', epoch).ok ~= 'hash' then call('DEL', epoch) end
local v = call('HMGET', epoch, 'at', 'run', 'loaded', 'first')
if v[2] ~= run then
  v[3] = v[1] or ''
  call('HSET', epoch, 'run', run, 'loaded', v[3])
end
if not v[4] then
  v[4] = first ~= '' and first or now
  call('HSET', epoch, 'first', v[4])
end
if start ~= '' and start ~= run then
  local lost = tonumber(at) - (tonumber(v[3]) or tonumber(first))
  -- Once in each start: an operator may have confirmed it since.
  if lost > REMEMBERED_MS and call('HGET', epoch, 'told') ~= run then
    call('HSET', epoch, 'lost', digits(lost), 'told', run)
  end
end
local last = digits(math.max(tonumber(now), tonumber(v[1]) or 0))
call('HSET', epoch, 'at', last)
return {now, run, table.concat({identity, last, run, v[4]}, '~')}
