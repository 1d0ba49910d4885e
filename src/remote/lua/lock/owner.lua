-- Locks. Fields: `owner`, SESSION/THREAD, which has a part for each level at which it has locked; `fence`, a number that grows with each
-- owner, also over a server that has lost everything; `dirty`, if an owner has died and nobody has repaired since.
--
-- Who waits with a condition variable has its parts and is not the owner.

-- {'locked', fence, whether it is dirty}, {'held'}, or, of a lock that is locked once at most, {'mine'}.
local function take(session, object, thread, token, is_once, waiter)
    contents(object)
    local key, at, me = object_key(object), tick(), session .. '/' .. thread
    local owner = call('HGET', key, 'owner')
    if was_renounced(object, me, token) then
        return { 'held' }
    end
    hear(session, at)
    if owner ~= me then
        local other = owner and session_of(owner)
        if owner and (other == session or is_alive(other, at)) then
            if waiter then
                join_line(object, waiter)
            end
            return { 'held' }
        end
        if owner then
            call('HSET', key, 'dirty', 1)
            lose_parts(object, owner)
            for _, who in ipairs(some_dead(object, at)) do
                lose_parts(object, who)
            end
            tidy(object)
        end
    elseif is_once and not has_part(object, me, token) then
        return { 'mine' }
    end
    if not has_part(object, me, token) then
        add_part(object, me, token)
    end
    if owner ~= me then
        local time = call('TIME')
        local now = time[1] * 1000000 + time[2]
        local fence = math.max((tonumber(call('HGET', key, 'fence')) or 0) + 1, now)
        call('HSET', key, 'owner', me, 'fence', string.format('%.0f', fence))
    end
    if waiter then
        leave_line(object, waiter)
    end
    local found = call('HMGET', key, 'fence', 'dirty')
    return { 'locked', found[1], found[2] and 1 or 0 }
end

-- Gives one level back: whether it was still there. Again, nothing happens. A level that was lent was not.
local function give(session, object, thread, token)
    local key, me = object_key(object), session .. '/' .. thread
    if call('EXISTS', key) == 0 then
        return false
    end
    local had = drop_part(object, me, token)
    if call('HGET', key, 'owner') ~= me then
        return not had
    end
    if had and call('HEXISTS', owners_of(object), me) == 0 then
        call('HDEL', key, 'owner')
        wake(object, 1)
    end
    return true
end

-- Gives all levels back for a while: whether they were there. Again, nothing happens.
local function lend(session, object, thread, token)
    local key, me = object_key(object), session .. '/' .. thread
    if not has_part(object, me, token) then
        return false
    end
    if call('HGET', key, 'owner') == me then
        call('HDEL', key, 'owner')
        wake(object, 1)
    end
    -- Who has ended without having it again.
    forget_some(owners_of(object))
    tidy(object)
    return true
end
