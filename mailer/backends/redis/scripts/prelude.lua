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

-- This start of the queue server, and its history (another one when a replica becomes a primary): another start, or another
-- history, may have forgotten what came last.
local function run_id()
  return string.match(call('INFO', 'server'), 'run_id:(%x+)') .. string.match(call('INFO', 'replication'), 'master_replid:(%x+)')
end

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

-- Whether the ledger holds as many recipients as a producer was told that it does; '' where he was told nothing.
local function holds(c, told)
  local held = 0
  for _, name in pairs(NAMES) do held = held + (tonumber(call('HGET', c, name)) or 0) end
  return held >= (tonumber(told) or 0)
end

-- Finished: the source was read to the end, no other list is being appended, and nobody is queued, claimed, sending or
-- deferred. What was cancelled stays that, and is over when the last in flight is.
local function settle(c, now)
  local v = call('HMGET', c, 'state', 'source_complete', 'appending', 'queued', 'claimed', 'sending', 'deferred')
  if v[1] ~= 'cancelled' and (v[1] ~= 'running' or v[2] ~= '1' or v[3]) then return end
  for i = 4, 7 do
    if (tonumber(v[i]) or 0) ~= 0 then return end
  end
  if v[1] == 'cancelled' then
    call('HSETNX', c, 'finished', digits(now))
  else
    call('HSET', c, 'state', 'finished', 'finished', digits(now))
  end
end

-- Whether a word is one of the lines of a text.
local function is_listed(text, word)
  return text and string.find('\n' .. text .. '\n', '\n' .. word .. '\n', 1, true) ~= nil
end

-- Whether rows, as JSON ranges, hold all of some others; '' is all there are.
local function chosen_covers(rows, others)
  if rows == '' then return true end
  if others == '' then return false end
  local held = cjson.decode(rows)
  for _, other in ipairs(cjson.decode(others)) do
    local found = false
    for _, range in ipairs(held) do found = found or (range[1] <= other[1] and other[2] <= range[2]) end
    if not found then return false end
  end
  return true
end

-- Put the rows that a run has left out to those of the campaign.
local function append_rows(from, to)
  for _, rows in ipairs(call('LRANGE', from, 0, -1)) do call('RPUSH', to, rows) end
  call('DEL', from)
end

-- The counts and the left-out rows of this run are those of the campaign's own list from now on.
local function own(c, base, run, invalid, duplicate, chosen)
  local v = call('HMGET', c, 'added_invalid', 'added_duplicate', 'run')
  call('HSET', c, 'invalid', digits(tonumber(invalid) + (tonumber(v[1]) or 0)),
       'duplicate', digits(tonumber(duplicate) + (tonumber(v[2]) or 0)), 'run', run)
  if chosen == '' then call('HDEL', c, 'chosen') else call('HSET', c, 'chosen', chosen) end
  if v[3] ~= run then call('DEL', base .. 'l') end
  append_rows(base .. 'l:' .. run, base .. 'l')
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

-- From now on a chunk has this of an attached file: 'm' a message that waits, 'k' only kept ones, '' none. A file that no
-- chunk has anything of is gone. Its size counts for as long as it waits.
local function mention(c, base, n, file, kind)
  local g, blob = base .. 'g:' .. n, base .. 'b:' .. file
  local before = call('HGET', g, file) or ''
  if before == kind then return end
  if kind == '' then call('HDEL', g, file) else call('HSET', g, file, kind) end
  call('SREM', base .. 'u', file)
  if (before == 'm') ~= (kind == 'm') then
    local delta = kind == 'm' and 1 or -1
    local chunks = call('HINCRBY', base .. 'w', file, delta)
    if chunks == 0 then call('HDEL', base .. 'w', file) end
    if chunks == (kind == 'm' and 1 or 0) then call('HINCRBY', c, 'bytes', delta * call('STRLEN', blob)) end
  end
  if (before == '') ~= (kind == '') and call('HINCRBY', base .. 'r', file, kind == '' and -1 or 1) == 0 then
    call('HDEL', base .. 'r', file)
    call('DEL', blob)
  end
end
