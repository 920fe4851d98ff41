-- Take the next place that is free in all lines at once, by the clock of this server. Times are in microseconds.
-- Spacing (GCRA): the first key of a line holds the time at which its next even place begins; without it the line is free,
-- so what a restart forgets earns no burst.
-- Quotas: the second is a hash, window -> {part, messages, part, messages, …}, the oldest first. A part is a 60th of the
-- window, counted from 1970. It counts as a whole for as long as any of its messages could share a window with one that
-- begins then, so that no window ever holds more.
-- KEYS: two for each line, all different. ARGV: most, then per line: interval, slack, quotas, per quota: window, messages.
-- Returns the time until the place; more than `most` means that nothing was taken.
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local most, read = tonumber(ARGV[1]), 1

local function argument()
  read = read + 1
  return tonumber(ARGV[read])
end

local function length_of(window) return math.ceil(window / 60) end

-- When the messages of a part count no longer.
local function over(window, part) return (part + 1) * length_of(window) + window end

-- By window, the parts that count now.
local function parts_in(key)
  local windows, entries = {}, call('HGETALL', key)
  for i = 1, #entries, 2 do
    local window, known, parts = tonumber(entries[i]), cmsgpack.unpack(entries[i + 1]), {}
    for j = 1, #known, 2 do
      if over(window, known[j]) > now then
        parts[#parts + 1] = known[j]
        parts[#parts + 1] = known[j + 1]
      end
    end
    windows[window] = parts
  end
  return windows
end

-- The first time from `at` on at which fewer than so many messages count; those of later places always do.
local function room_from(at, window, messages, parts)
  local total = 0
  for i = 2, #parts, 2 do total = total + parts[i] end
  for i = 1, #parts, 2 do
    local free = over(window, parts[i])
    if free > at then
      if total < messages then return at end
      at = free
    end
    total = total - parts[i + 1]
  end
  return at
end

-- Places come in order, or nearly.
local function count_in(parts, part)
  local i = #parts - 1
  while i > 0 and parts[i] > part do i = i - 2 end
  if i > 0 and parts[i] == part then
    parts[i + 1] = parts[i + 1] + 1
  else
    table.insert(parts, i + 2, part)
    table.insert(parts, i + 3, 1)
  end
end

local start, lines = now, {}
for i = 1, #KEYS / 2 do
  local line = {pace = KEYS[2 * i - 1], quota = KEYS[2 * i], interval = argument(), limits = {}}
  line.even = tonumber(call('GET', line.pace) or now)
  start = math.max(start, line.even - argument())
  line.windows = parts_in(line.quota)
  for _ = 1, argument() do
    local window, messages = argument(), argument()
    line.limits[window] = math.min(messages, line.limits[window] or messages)
    line.windows[window] = line.windows[window] or {}
  end
  lines[i] = line
end
-- Nothing that counts at a time counts less before it: what the last quota allows, all others do.
for _, line in ipairs(lines) do
  for window, messages in pairs(line.limits) do
    start = room_from(start, window, messages, line.windows[window])
  end
end
if start - now > most then return start - now end

for _, line in ipairs(lines) do
  local following = math.max(line.even, start) + line.interval
  -- Once its time is over a line is as good as none; the second more is for the clock of expiry.
  call('SET', line.pace, digits(following), 'PX', digits(math.ceil((following - now) / 1000) + 1000))
  -- In all windows that anybody has a quota over: campaigns with other rates share the line.
  local last = 0
  for window, parts in pairs(line.windows) do
    if #parts == 0 and not line.limits[window] then
      call('HDEL', line.quota, digits(window))
    else
      count_in(parts, math.floor(start / length_of(window)))
      call('HSET', line.quota, digits(window), cmsgpack.pack(parts))
      last = math.max(last, over(window, parts[#parts - 1]))
    end
  end
  if last > 0 then call('PEXPIRE', line.quota, digits(math.ceil((last - now) / 1000) + 1000)) end
end
return start - now
