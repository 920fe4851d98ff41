-- Take what is queued or due in one chunk. Records with two crashes are taken alone, so that only the guilty reaches three.
-- Repeated after a lost reply, it answers with what this token has already. While the gate is closed nobody gets anything.
-- KEYS: c, gate (none: whoever asks has nothing to put back). ARGV: base, chunk, token
local c, base, n, token = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local state = call('HGET', c, 'state')
if not state then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
local now = now_ms()
if KEYS[2] and call('HGET', KEYS[2], 'run') ~= run_id() then return {'barred', digits(now)} end
if state ~= 'running' then return {state, digits(now)} end

local s = base .. 's:' .. n
local all = call('HGETALL', s)
local calm, risky, mine, later = {}, {}, {}, nil
for i = 1, #all, 2 do
  local value = all[i + 1]
  local letter = sub(value, 1, 1)
  if letter == 'd' then
    local due = tonumber(sub(value, 5))
    if due > now then
      if not later or due < later then later = due end
      letter = nil
    end
  end
  if letter == 'q' or letter == 'd' then
    local into = tonumber(sub(value, 4, 4)) >= 2 and risky or calm
    into[#into + 1] = {all[i], value}
  elseif letter == 'c' and sub(value, 5) == token then
    mine[#mine + 1] = all[i]
    mine[#mine + 1] = value
  end
end
local result, fields, deltas = {state, digits(now)}, {}, {}
if #mine > 0 then
  for _, word in ipairs(mine) do result[#result + 1] = word end
  return result
end
local taken = calm
if #calm == 0 and #risky > 0 then taken = {risky[1]} end
for _, pair in ipairs(taken) do
  fields[#fields + 1] = pair[1]
  fields[#fields + 1] = 'c' .. sub(pair[2], 2, 4) .. token
  moved(deltas, sub(pair[2], 1, 1), 'c')
  result[#result + 1] = pair[1]
  result[#result + 1] = pair[2]
end
if #fields > 0 then
  if #all > 128 then
    -- A hash of some hundred short values is one list, and each of the five times that a recipient is looked up in it goes
    -- through half of that. A long value makes a table of it, until the chunk is packed.
    call('HSET', s, '', string.rep(' ', 100))
    call('HDEL', s, '')
  end
  call('HSET', s, unpack(fields))
  call('HSET', base .. 'h', n .. ':' .. token, digits(now))
  book(c, deltas)
  call('HSETNX', c, 'started', digits(now))
end
if later then call('ZADD', base .. 'due', digits(later), n) else call('ZREM', base .. 'due', n) end
return result
