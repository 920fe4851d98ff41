-- Store one chunk, or nothing when some of its addresses are in the ledger already (their places are returned).
-- KEYS: c. ARGV: base, address hashes (8 bytes each), state letters, messages, addresses, outcomes, 1 when the row is part
--   of some hash, digests of the attached files...
-- Returns -1, the chunk, the campaign's state; or -2 and the files that are not there; or the places of who is there.
local c, base = KEYS[1], ARGV[1]
local hashes, letters = ARGV[2], ARGV[3]
local state = call('HGET', c, 'state')
if not state or state == 'dropped' then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
if state == 'cancelled' then return redis.error_reply('CANCELLED this campaign was cancelled') end

-- Index of addresses: generation g has 100 x 10^g shards of about 100 addresses, small enough for the compact encoding.
local held = tonumber(call('HGET', c, 'indexed') or '0')
local function generation_of(count)
  local g, room = 0, 10000
  while count >= room and g < 3 do
    g = g + 1
    room = room + 10000 * 10 ^ g
  end
  return g
end
local function shard(g, hash)
  local a, b, d, e = string.byte(hash, 1, 4)
  local number = ((a * 256 + b) * 256 + d) * 256 + e
  return base .. 'x:' .. g .. ':' .. digits(number % (100 * 10 ^ g))
end

local newest = generation_of(held)
local present = {}
local count = #hashes / 8
for i = 0, count - 1 do
  local hash = sub(hashes, i * 8 + 1, i * 8 + 8)
  for g = 0, newest do
    if call('HEXISTS', shard(g, hash), hash) == 1 then
      present[#present + 1] = i
      break
    end
  end
end
if #present > 0 then return present end
-- Nobody would send them any more.
if state == 'finished' then return redis.error_reply('FINISHED this campaign is finished and takes nothing more') end
local missing = {-2}
for i = 8, #ARGV do
  if call('EXISTS', base .. 'b:' .. ARGV[i]) == 0 then missing[#missing + 1] = ARGV[i] end
end
if #missing > 1 then return missing end

local n = call('HINCRBY', c, 'chunks', 1) - 1
local fields, deltas, queued = {}, {}, 0
for i = 0, count - 1 do
  local letter = sub(letters, i + 1, i + 1)
  local hash = sub(hashes, i * 8 + 1, i * 8 + 8)
  call('HSET', shard(generation_of(held + i), hash), hash, n)
  fields[#fields + 1] = i
  fields[#fields + 1] = letter .. '000'
  deltas[letter] = (deltas[letter] or 0) + 1
  if letter == 'q' then queued = queued + 1 end
end
call('HINCRBY', c, 'indexed', count)
call('HSET', base .. 's:' .. n, unpack(fields))
call('SET', base .. 'm:' .. n, ARGV[4])
call('SET', base .. 'a:' .. n, ARGV[5])
if ARGV[6] ~= '' then call('SET', base .. 'o:' .. n, ARGV[6]) end
call('HINCRBY', c, 'bytes', #ARGV[4])
for i = 8, #ARGV do mention(c, base, n, ARGV[i], 'm') end
if ARGV[7] == '1' then call('HSET', c, 'by_row', 1) end
book(c, deltas)
call('ZADD', base .. 'open', 0, n)
return {-1, n, state}
