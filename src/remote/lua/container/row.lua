-- Items by their places, a list: SESSION TOKEN OBJECT OPERATION, ..; items that are taken out are held under the token. A place that is
-- not there: {0, how many there are}.
local session, token, object, operation = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = contents(object)
-- No item is like it: items begin with how many objects they refer to.
local MARK = 'place ' .. token

local function require_items(first)
    for index = first, #ARGV do
        require_all(ARGV[index])
    end
end

-- Has the list have these items, which are some: it is as it was until they are all there.
local function replace(items)
    local new = P .. 'g:new'
    call('DEL', new)
    for first = 1, #items, 1000 do
        call('RPUSH', new, unpack(items, first, math.min(first + 999, #items)))
    end
    call('RENAME', new, key)
end

if operation == 'item' then -- PLACE; {1, the item}
    local item = call('LINDEX', key, ARGV[6])
    if not item then
        return { 0, call('LLEN', key) }
    end
    hold(session, token, item)
    return { 1, item }
elseif operation == 'count' then
    return call('LLEN', key)
elseif operation == 'set' then -- PLACE ITEM; {1}
    local old = call('LINDEX', key, ARGV[6])
    if not old then
        return { 0, call('LLEN', key) }
    end
    require_items(7)
    call('LSET', key, ARGV[6], ARGV[7])
    retain(object, ARGV[7])
    release(old)
    return { 1 }
elseif operation == 'add' then -- PLACE or -1, ITEM ..; {1}
    local place, count = tonumber(ARGV[6]), call('LLEN', key)
    require_items(7)
    if place > count then
        return { 0, count }
    elseif place < 0 or place == count then
        for index = 7, #ARGV do
            call('RPUSH', key, ARGV[index])
        end
    else
        local next = call('LINDEX', key, place)
        call('LSET', key, place, MARK)
        for index = 7, #ARGV do
            call('LINSERT', key, 'BEFORE', MARK, ARGV[index])
        end
        call('LSET', key, place + #ARGV - 6, next)
    end
    for index = 7, #ARGV do
        retain(object, ARGV[index])
    end
    return { 1 }
elseif operation == 'take' then -- PLACE, or -1 for the last; {1, the item}
    local place = ARGV[6]
    local item = call('LINDEX', key, place)
    if not item then
        return { 0, call('LLEN', key) }
    end
    hold(session, token, item)
    if place == '-1' then
        call('RPOP', key)
    elseif place == '0' then
        call('LPOP', key)
    else
        call('LSET', key, place, MARK)
        call('LREM', key, 1, MARK)
    end
    release(item)
    return { 1, item }
elseif operation == 'items' then -- FIRST LAST MOST, as far as there are any; how many objects they refer to, if these are more than MOST
    local items = call('LRANGE', key, ARGV[6], ARGV[7])
    return hold_all(session, token, items, tonumber(ARGV[8])) or items
elseif operation == 'index' then -- ITEM
    return call('LPOS', key, ARGV[6])
elseif operation == 'occurrences' then -- ITEM
    return #call('LPOS', key, ARGV[6], 'COUNT', 0)
elseif operation == 'clear' then
    drop_contents(object, session .. '/' .. token)
elseif operation == 'exchange' then -- PLACE CURRENT NEW; {1}, or {2, what is there instead}
    local found = call('LINDEX', key, ARGV[6])
    if not found then
        return { 0, call('LLEN', key) }
    elseif found ~= ARGV[7] then
        hold(session, token, found)
        return { 2, found }
    end
    require_items(8)
    call('LSET', key, ARGV[6], ARGV[8])
    retain(object, ARGV[8])
    release(found)
    return { 1 }
elseif operation == 'reverse' then
    local items, reversed = call('LRANGE', key, 0, -1), {}
    for index = #items, 1, -1 do
        reversed[#reversed + 1] = items[index]
    end
    if #items > 0 then
        replace(reversed)
    end
elseif operation == 'reorder' then -- the ITEMs that are expected, and as many places: the new order
    local items, count = call('LRANGE', key, 0, -1), (#ARGV - 5) / 2
    if #items ~= count then
        return 0
    end
    for index, item in ipairs(items) do
        if item ~= ARGV[5 + index] then
            return 0
        end
    end
    local ordered = {}
    for index = 1, count do
        ordered[index] = items[tonumber(ARGV[5 + count + index]) + 1]
    end
    if count > 0 then
        replace(ordered)
    end
    return 1
else
    fail('ERR no operation ' .. operation)
end
