-- The rest of a source larger than the high-water mark is stored. KEYS: c. ARGV: base, run, invalid, duplicate
local c, base = KEYS[1], ARGV[1]
if call('HGET', c, 'source_complete') == '1' then return 0 end
call('HSET', c, 'invalid', ARGV[3], 'duplicate', ARGV[4], 'source_complete', '1')
if call('EXISTS', base .. 'l:' .. ARGV[2]) == 1 then
  call('RENAME', base .. 'l:' .. ARGV[2], base .. 'l')
  call('PERSIST', base .. 'l')
end
settle(c, now_ms())
return 1
