-- Strings: patterns, concatenation, formatting, packing. `strings.lua [N]`, N rounds.
local rounds = tonumber(arg[1] or "3")

local function checksum(text)
  local a, b = 1, 0
  for i = 1, #text do
    a = (a + text:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return b << 16 | a
end

local words = {}
for word in ([[a tiered runtime starts at once with simple code and finds out what is hot then compiles it again
with care while the program goes on running and falls back when an assumption turns out wrong]]):gmatch("%a+") do
  words[#words + 1] = word
end

local function text_of(count, seed)
  local parts, state = {}, seed
  for i = 1, count do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    parts[i] = words[state // 65536 % #words + 1]
  end
  return table.concat(parts, " ")
end

for round = 1, rounds do
  local text = text_of(5000, round)
  print("text", #text, string.format("%08x", checksum(text)))
  local counts, distinct = {}, {}
  for word in text:gmatch("%a+") do
    if not counts[word] then distinct[#distinct + 1] = word end
    counts[word] = (counts[word] or 0) + 1
  end
  table.sort(distinct, function(x, y)
    if counts[x] ~= counts[y] then return counts[x] > counts[y] end
    return x < y
  end)
  print("words", #distinct, distinct[1], counts[distinct[1]], distinct[#distinct])
  print("gsub", checksum((text:gsub("(%a)(%a*)", function(first, rest) return first:upper() .. rest end))))
  print("reverse", checksum(text:reverse():rep(2, "|")))
  print("find", text:find("runtime%s+(%a+)"), select("#", text:find("no such words")))
  local line = ""
  for i = 1, 300 do line = line .. string.char(65 + i % 26) end
  print("concat", #line, checksum(line))
  print("format", string.format("%5d|%-8s|%08.3f|%q|%x|%5.1e", round, "ab", 3.14159 * round, "q\n\"", 255, 12345.678))
  local packed = string.pack("<i4 >I8 d s2 z", -5, 1 << 60, 0.5, "counted", "zero")
  print("pack", #packed, string.unpack("<i4 >I8 d s2 z", packed))
  print("utf8", utf8.char(228, 8364, 128512), utf8.len("äöü€"), utf8.codepoint("€", 1))
end
