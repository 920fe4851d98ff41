-- The source was read to the end: the draft runs, or waits for its time.
-- KEYS: c. ARGV: base, run, invalid, duplicate, complete (1 or 0), chosen rows (JSON, '' for all), time to begin (ms, '' for
--   now), ms it may be late, recipients that this producer knows of
-- Returns the state the campaign is in from now on, '' when it had been sealed before.
local c, base = KEYS[1], ARGV[1]
local state = call('HGET', c, 'state')
if not state or state == 'dropped' then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
if state ~= 'draft' then return '' end
if not holds(c, ARGV[9]) then
  return redis.error_reply('FORGOTTEN the queue server has forgotten recipients that were accepted')
end
local now, into = now_ms(), 'running'
if ARGV[7] ~= '' and tonumber(ARGV[7]) > now then
  into = 'scheduled'
  call('HSET', c, 'at', ARGV[7], 'lateness', ARGV[8])
end
call('HSET', c, 'state', into, 'source_complete', ARGV[5])
local doubt = call('HGET', c, 'distrusted')
if doubt then
  into = 'paused'
  call('HSET', c, 'state', into, 'paused_reason', doubt)
end
own(c, base, ARGV[2], ARGV[3], ARGV[4], ARGV[6])
settle(c, now)
return into
