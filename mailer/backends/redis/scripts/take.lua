-- Take the next place that is free in all buckets at once, by the clock of this server (GCRA). A bucket holds the time in
-- microseconds at which its next even place begins; without a key it is free, so what a restart forgets earns no burst.
-- KEYS: one for each bucket, all different. ARGV: most microseconds, then per bucket: interval, slack (microseconds).
-- Returns the microseconds until the place; more than `most` means that nothing was taken.
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local start, even = now, {}
for i = 1, #KEYS do
  even[i] = tonumber(call('GET', KEYS[i]) or now)
  start = math.max(start, even[i] - tonumber(ARGV[2 * i + 1]))
end
if start - now <= tonumber(ARGV[1]) then
  for i = 1, #KEYS do
    local following = math.max(even[i], start) + tonumber(ARGV[2 * i])
    -- Once its time is over a bucket is as good as none; the second more is for the clock of expiry.
    call('SET', KEYS[i], digits(following), 'PX', digits(math.ceil((following - now) / 1000) + 1000))
  end
end
return start - now
