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
    hash = function(key)
        local some = call('HRANDFIELD', key, 1, 'WITHVALUES')
        call('HDEL', key, some[1])
        return some[2]
    end,
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

local function empty(key)
    local take = takes[call('TYPE', key).ok]
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
