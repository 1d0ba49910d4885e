-- Barriers. Fields: `parties`; `turn`, how many generations there were before this one; `count`, how many of it have come;
-- `acting`, SESSION/TOKEN of who runs the action before they pass; `broken`, by what. `void` are the generations that were ended by a reset,
-- the last hundred of them; all up to `forgotten` count as such. A session that may come has a part for each of its handles.

local function turn_of(object)
    return tonumber(call('HGET', object_key(object), 'turn')) or 0
end

-- {'wait'}, {'passed'} or {'broken', by what}, of a generation.
local function verdict(object, turn)
    local found = call('HMGET', object_key(object), 'broken', 'void', 'forgotten')
    if turn == turn_of(object) then
        return found[1] and { 'broken', found[1] } or { 'wait' }
    end
    local is_void = string.find(' ' .. (found[2] or '') .. ' ', ' ' .. turn .. ' ', 1, true)
    if is_void or turn <= (tonumber(found[3]) or -1) then
        return { 'broken', 'reset' }
    end
    return { 'passed' }
end

local function break_it(object, by)
    call('HSETNX', object_key(object), 'broken', by)
    wake(object, MOST_WOKEN)
end

local function next_turn(object)
    local key = object_key(object)
    call('HDEL', key, 'acting', 'broken')
    call('HSET', key, 'turn', turn_of(object) + 1, 'count', 0)
    wake(object, MOST_WOKEN)
end

-- Whoever has died would not come. Once all have come, it is only the one that acts who matters.
local function break_for_dead(object, at)
    local acting = call('HGET', object_key(object), 'acting')
    if acting then
        if not is_alive(session_of(acting), at) then
            break_it(object, 'death')
        end
    elseif #some_dead(object, at) > 0 then
        break_it(object, 'death')
    end
end
