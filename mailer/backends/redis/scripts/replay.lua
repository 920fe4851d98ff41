-- Put back what the queue server forgot of some recipients of one chunk: all of it, or nothing when one of them is not what
-- it was when it was read.
-- KEYS: c, suppressed. ARGV: base, chunk, then for each recipient: index, value as read, new value, events, token to hold it
--   ('' for none), time of that claim (ms), due ms ('' for none), address, suppression note ('' for none)
-- Returns 1 when it is done, 0 when something changed meanwhile.
local c, suppressed, base, n = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local s = base .. 's:' .. n
if call('EXISTS', c) == 0 then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
for i = 3, #ARGV, 9 do
  if call('HGET', s, ARGV[i]) ~= ARGV[i + 1] then return 0 end
end
local deltas = {}
for i = 3, #ARGV, 9 do
  local before, after = ARGV[i + 1], ARGV[i + 2]
  -- A late reply leaves the state as it is.
  if after ~= before then call('HSET', s, ARGV[i], after) end
  if ARGV[i + 3] ~= '' then call('APPEND', base .. 'o:' .. n, ARGV[i + 3]) end
  if sub(after, 1, 1) == 'I' and sub(before, 1, 1) ~= 'I' and is_sent_again(c, base .. 'o:' .. n, ARGV[i]) then
    call('APPEND', base .. 'o:' .. n, sent_again(ARGV[i], now_ms()))
    after = 'q' .. sub(after, 2, 4)
    call('HSET', s, ARGV[i], after)
  end
  if ARGV[i + 4] ~= '' then call('HSETNX', base .. 'h', n .. ':' .. ARGV[i + 4], ARGV[i + 5]) end
  if ARGV[i + 6] ~= '' then call('ZADD', base .. 'due', 'LT', ARGV[i + 6], n) end
  -- As in `transition.lua`.
  if ARGV[i + 8] ~= '' and redis.pcall('HSETNX', suppressed, ARGV[i + 7], ARGV[i + 8]) == 1
      and call('SETNX', suppressed .. ':kept', '1') == 1 then
    call('HSET', suppressed, '', '')
  end
  moved(deltas, sub(before, 1, 1), sub(after, 1, 1))
end
book(c, deltas)
settle(c, now_ms())
return 1
