-- All that was to come is stored: the rest of the campaign's own list, or the whole of another one.
-- KEYS: c. ARGV: base, run, invalid, duplicate, chosen rows (JSON, '' for all), fingerprint of another list ('' for the own),
--   recipients that this producer knows of
-- Returns 1 when the counts of this run are in the campaign's from now on, 0 when they were, or others are.
local c, base, run, list = KEYS[1], ARGV[1], ARGV[2], ARGV[6]
local v = call('HMGET', c, 'state', 'source_complete', 'chosen', 'appended', 'appending')
if not v[1] or v[1] == 'dropped' then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
if not holds(c, ARGV[7]) then
  return redis.error_reply('FORGOTTEN the queue server has forgotten recipients that were accepted')
end
local counted = 0
if list == '' then
  -- Of two producers that read different parts of the list, the one with more of it is right, whoever comes last.
  if v[2] ~= '1' or (chosen_covers(ARGV[5], v[3] or '') and ARGV[5] ~= (v[3] or '')) then
    call('HSET', c, 'source_complete', '1')
    own(c, base, run, ARGV[3], ARGV[4], ARGV[5])
    counted = 1
  end
else
  if not is_listed(v[4], list) then
    call('HSET', c, 'appended', v[4] and v[4] .. '\n' .. list or list)
    call('HINCRBY', c, 'added_invalid', ARGV[3])
    call('HINCRBY', c, 'added_duplicate', ARGV[4])
    call('HINCRBY', c, 'invalid', ARGV[3])
    call('HINCRBY', c, 'duplicate', ARGV[4])
    append_rows(base .. 'l:' .. run, base .. 'la')
    counted = 1
  end
  local others = {}
  for other in string.gmatch(v[5] or '', '[^\n]+') do
    if other ~= list then others[#others + 1] = other end
  end
  if #others > 0 then call('HSET', c, 'appending', table.concat(others, '\n')) else call('HDEL', c, 'appending') end
end
settle(c, now_ms())
return counted
