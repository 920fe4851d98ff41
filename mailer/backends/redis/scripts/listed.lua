-- Whether the do-not-send list is the one that was kept. KEYS: suppressed. Returns 1 when it is, or when there never was one;
-- 0 when it is lost, or something else stands in its place. A list of an earlier version gets its sign here.
local suppressed, kept = KEYS[1], KEYS[1] .. ':kept'
local whole = redis.pcall('HEXISTS', suppressed, '')
if whole == 1 then return 1 end
if whole ~= 0 or call('EXISTS', kept) == 1 then return 0 end
if call('EXISTS', suppressed) == 1 then
  call('HSET', suppressed, '', '')
  call('SET', kept, '1')
end
return 1
