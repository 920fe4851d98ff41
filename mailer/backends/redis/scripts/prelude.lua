-- Shared by every script. A recipient's value in s:n is: state letter, attempts (2 hex digits), crashes (1 digit), tail.
-- The tail is the claim's token for c, g and final states, the due time in ms for d, and nothing for q.
local NAMES = {q = 'queued', c = 'claimed', g = 'sending', d = 'deferred', S = 'sent', R = 'refused', F = 'failed',
               U = 'suppressed', X = 'cancelled', I = 'in_doubt'}
local sub, call = string.sub, redis.call

local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function digits(number) return string.format('%.0f', number) end

-- Counters are changed in the same step as the records they count.
local function moved(deltas, from, to)
  deltas[from] = (deltas[from] or 0) - 1
  deltas[to] = (deltas[to] or 0) + 1
end

local function book(c, deltas)
  for letter, delta in pairs(deltas) do
    if delta ~= 0 then call('HINCRBY', c, NAMES[letter], delta) end
  end
end

-- Finished: the source was read to the end and nobody is queued, claimed, sending or deferred. What was cancelled stays
-- that, and is over when the last in flight is.
local function settle(c, now)
  local v = call('HMGET', c, 'state', 'source_complete', 'queued', 'claimed', 'sending', 'deferred')
  if v[1] ~= 'cancelled' and (v[1] ~= 'running' or v[2] ~= '1') then return end
  for i = 3, 6 do
    if (tonumber(v[i]) or 0) ~= 0 then return end
  end
  if v[1] == 'cancelled' then
    call('HSETNX', c, 'finished', digits(now))
  else
    call('HSET', c, 'state', 'finished', 'finished', digits(now))
  end
end

-- The event of a recipient that the operator's `cancel` reaches: no phase (cjson.null is packed as nil), class local.
local function cancelled(index, now, reason)
  local text = 'operator: cancel'
  if reason and reason ~= '' then text = text .. ': ' .. reason end
  local event = cmsgpack.pack({tonumber(index), 'X', now, 'operator', text, cjson.null, 'local'})
  return struct.pack('>H', #event) .. event
end

-- A short name of what a string key holds; empty when there is none.
local function digest(key)
  local value = call('GET', key)
  return value and redis.sha1hex(value) or ''
end
