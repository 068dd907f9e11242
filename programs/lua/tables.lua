-- Tables: sorting, hashing, queues, garbage. `tables.lua [N]`, N rounds.
local rounds = tonumber(arg[1] or "3")

local state = 42
local function random(limit)
  state = (state * 6364136223846793005 + 1442695040888963407)
  return (state >> 33) % limit
end

local function mixed(values)
  local sum = 17
  for i = 1, #values do sum = sum * 31 + values[i] end
  return string.format("%016x", sum)
end

local function tree(depth)
  if depth == 0 then return {} end
  return { tree(depth - 1), tree(depth - 1) }
end

local function count(node)
  if not node[1] then return 1 end
  return 1 + count(node[1]) + count(node[2])
end

local function queens(n)
  local found, columns, rising, falling = 0, {}, {}, {}
  local function place(row)
    if row > n then found = found + 1; return end
    for column = 1, n do
      local up, down = row + column, row - column
      if not (columns[column] or rising[up] or falling[down]) then
        columns[column], rising[up], falling[down] = true, true, true
        place(row + 1)
        columns[column], rising[up], falling[down] = nil, nil, nil
      end
    end
  end
  place(1)
  return found
end

for round = 1, rounds do
  local values = {}
  for i = 1, 10000 do values[i] = random(1000000) end
  table.sort(values)
  print("sort", values[1], values[#values], mixed(values))
  table.sort(values, function(a, b) return a % 1000 < b % 1000 or (a % 1000 == b % 1000 and a < b) end)
  print("sort by", mixed(values))
  local seen, distinct = {}, 0
  for _, value in ipairs(values) do
    local key = "k" .. value % 5000
    if not seen[key] then distinct = distinct + 1 end
    seen[key] = value
  end
  print("hash", distinct)
  local queue = {}
  for i = 1, 2000 do table.insert(queue, i) end
  local total = 0
  for _ = 1, 200 do total = total + table.remove(queue, 1) end
  print("queue", total, #queue)
  print("tree", count(tree(12)))
  print("queens", queens(7))
  collectgarbage()
  local weak = setmetatable({}, { __mode = "v" })
  weak[1], weak[2] = {}, values
  collectgarbage()
  print("weak", weak[1] == nil, weak[2] == values)
end
