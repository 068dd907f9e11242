-- Control flow that leaves by another way: errors, coroutines, to-be-closed variables. `control.lua [N]`, N rounds.
local rounds = tonumber(arg[1] or "3")

local function permutations(items)
  local function generate(n)
    if n == 0 then coroutine.yield(table.concat(items, " ")) return end
    for i = 1, n do
      items[n], items[i] = items[i], items[n]
      generate(n - 1)
      items[n], items[i] = items[i], items[n]
    end
  end
  return coroutine.wrap(function() generate(#items) end)
end

local function producer(limit)
  return coroutine.create(function()
    for i = 1, limit do coroutine.yield(i * i) end
    return "end"
  end)
end

for round = 1, rounds do
  local count, last = 0, nil
  for permutation in permutations({ 1, 2, 3, 4, 5, 6 }) do count, last = count + 1, permutation end
  print("permutations", count, last)

  local co, sum = producer(2000), 0
  while true do
    local ok, value = coroutine.resume(co)
    if value == "end" then print("producer", ok, sum, coroutine.status(co)) break end
    sum = sum + value
  end
  print("dead", coroutine.resume(co))

  local failures = 0
  for i = 1, 20000 do
    local ok, message = pcall(function() if i % 3 == 0 then error("third", 0) end return i end)
    if not ok and message == "third" then failures = failures + 1 end
  end
  print("pcall", failures)

  print("types", pcall(function() return nil + 1 end))
  print("index", pcall(function() local t = nil; return t.field end))
  print("table", select(2, pcall(error, { code = 7 })).code)
  print("handler", xpcall(function() error("inner", 0) end, function(m) return "handled " .. m end))
  print("nested", pcall(pcall, error, "again"))
  print("load", load("return 1 +"))

  local order = {}
  local function closing(name)
    return setmetatable({}, { __close = function(_, why) order[#order + 1] = name .. ":" .. tostring(why) end })
  end
  pcall(function()
    local a <close> = closing("a")
    local b <close> = closing("b")
    error("out", 0)
  end)
  print("close", table.concat(order, " "))

  local inner = coroutine.wrap(function()
    local ok, message = pcall(function()
      coroutine.yield("from within pcall")
      error("after the yield", 0)
    end)
    return tostring(ok) .. " " .. message
  end)
  print("yield", inner(), inner())
  goto continue
  print("never")
  ::continue::
end
