-- The operator's word about recipients of one chunk, final ones in their packed form and open ones alike: back to queued,
-- or from in doubt to a final state. All of it or nothing: every value must be what it was when the chunk was read.
-- KEYS: c, live. ARGV: base, id, chunk, sha1 of f:n as read, final, kept frames, messages, addresses ('' removes each),
--   events, how many words about attached files, these (file and what the chunk has of it from now on), count of packed
--   ones, for each of them: letter before, new letter or value, index; then for each that stands in s:n: index, value as
--   read, new value
-- Returns the generation to hand in as a job, -1 when nobody is queued by it, -2 when something changed meanwhile,
-- -3 when the campaign's state does not allow it.
local c, base, n = KEYS[1], ARGV[1], ARGV[3]
local s, f, m = base .. 's:' .. n, base .. 'f:' .. n, base .. 'm:' .. n
local state = call('HGET', c, 'state')
if not state then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
if digest(f) ~= ARGV[4] then return -2 end
local deltas, fields, queued, at = {}, {}, 0, 12 + tonumber(ARGV[10])
for _ = 1, tonumber(ARGV[at - 1]) do
  moved(deltas, ARGV[at], sub(ARGV[at + 1], 1, 1))
  if sub(ARGV[at + 1], 1, 1) == 'q' then
    queued = queued + 1
    fields[#fields + 1] = ARGV[at + 2]
    fields[#fields + 1] = ARGV[at + 1]
  end
  at = at + 3
end
while at <= #ARGV do
  if call('HGET', s, ARGV[at]) ~= ARGV[at + 1] then return -2 end
  moved(deltas, sub(ARGV[at + 1], 1, 1), sub(ARGV[at + 2], 1, 1))
  if sub(ARGV[at + 2], 1, 1) == 'q' then queued = queued + 1 end
  fields[#fields + 1] = ARGV[at]
  fields[#fields + 1] = ARGV[at + 2]
  at = at + 3
end
if queued > 0 and state ~= 'finished' and state ~= 'running' and state ~= 'paused' then return -3 end

local function replace(key, value)
  if value == '' then call('DEL', key) else call('SET', key, value) end
end
local before = call('STRLEN', m)
replace(f, ARGV[5])
replace(base .. 'k:' .. n, ARGV[6])
if #fields > 0 then
  call('HSET', s, unpack(fields))
  call('SET', m, ARGV[7])
  call('SET', base .. 'a:' .. n, ARGV[8])
  call('APPEND', base .. 'o:' .. n, ARGV[9])
end
call('HINCRBY', c, 'bytes', call('STRLEN', m) - before)
for i = 11, 10 + tonumber(ARGV[10]), 2 do mention(c, base, n, ARGV[i], ARGV[i + 1]) end
book(c, deltas)
if queued == 0 then return -1 end
if state == 'finished' then
  call('HSET', c, 'state', 'running')
  call('HDEL', c, 'finished')
end
call('SADD', KEYS[2], ARGV[2])
if call('ZSCORE', base .. 'open', n) then return tonumber(call('ZINCRBY', base .. 'open', 1, n)) end
-- Above every generation the chunk may have had: a job of an old one may still be ending.
local generation = call('HINCRBY', c, 'reopened', 1) * 1000000
call('ZADD', base .. 'open', generation, n)
return generation
