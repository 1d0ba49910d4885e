-- What is left of sessions that have ended, and of contents that nobody sees any more: a part of it at a time, so many holds and references.
-- A guess: some commands each.
local budget = 250

-- Ends holds of a session that has ended; whether these were all.
local function end_holds(session, at)
    local holds = P .. 's:' .. session
    local some = call('HRANDFIELD', holds, budget)
    for _, token in ipairs(some) do
        end_hold(session, token, at)
    end
    budget = budget - #some
    return call('EXISTS', holds) == 0
end

-- The first value, or entry, of what is left of some contents, taken out.
local takes = {
    list = function(key)
        return call('LPOP', key)
    end,
    stream = function(key)
        local first = call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
        if not first then
            return call('DEL', key) and ''
        end
        call('XDEL', key, first[1])
        return first[2][2]
    end,
}

-- A table is gone through from where the step before has stopped: one that has a child does not shrink meanwhile (BGSAVE), and whoever begins
-- at its front, or searches it at random, comes past all that was taken out.
local function empty_table(key)
    local cursor = call('HGET', P .. 'clock', 'buried') or '0'
    while budget > 0 and call('EXISTS', key) == 1 do
        budget = budget - 1 -- looks at 200 places at most
        local found = call('HSCAN', key, cursor, 'COUNT', 20)
        for index = 1, #found[2], 2 do
            if budget <= 0 then
                found[1] = cursor -- the others are found again
                break
            end
            local value = found[2][index + 1]
            call('HDEL', key, found[2][index])
            budget = budget - 1 - (string.byte(value, 1) or 0)
            release(value)
        end
        cursor = found[1]
    end
    if call('EXISTS', key) == 1 then
        call('HSET', P .. 'clock', 'buried', cursor)
    else
        call('HDEL', P .. 'clock', 'buried')
    end
end

local function empty(key)
    local kind = call('TYPE', key).ok
    if kind == 'hash' then
        empty_table(key)
        return call('EXISTS', key) == 0
    end
    local take = takes[kind]
    while take and budget > 0 and call('EXISTS', key) == 1 do
        local value = take(key)
        budget = budget - 1 - (string.byte(value, 1) or 0)
        release(value)
    end
    return not take or call('EXISTS', key) == 0
end

local function bury_some()
    while budget > 0 do
        local name = call('LINDEX', P .. 'grave', 0)
        if not name then
            return
        end
        local key = P .. 'g:' .. name
        local is_well, is_done = pcall(empty, key)
        -- It may have grown at its other end meanwhile.
        if is_done or not is_well then
            call('LPOP', P .. 'grave')
            call('UNLINK', key)
        end
    end
end
