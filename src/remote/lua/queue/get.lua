-- Reads the next message, which is SESSION's until it is done, and given again to who asks again under TOKEN: SESSION OBJECT TOKEN, and
-- the WAITER that waits if there is none. What it refers to is held as TOKEN.1, TOKEN.2 .. The message; 0: none; 1: none, and closed.
local session, object, token, waiter = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
require_session(session)
local stream, name, at = contents(object), session .. '/' .. token, tick()

-- What somebody has removed from the stream by other means is not claimed, but is not pending any more.
local function claim(id)
    local entry = call('XCLAIM', stream, GROUP, name, 0, id)[1]
    return entry and entry[2][2]
end

local function given_back()
    for _ = 1, 10 do
        local id = pending(stream, BACK)
        local value = id and claim(id)
        if value or not id then
            return value
        end
    end
end

local function new()
    local read = call('XREADGROUP', 'GROUP', GROUP, name, 'COUNT', 1, 'STREAMS', stream, '>')
    return read and read[1][2][1][2][2]
end

local function next_value()
    local own = pending(stream, name)
    if own then
        return claim(own) -- (Q1)
    end
    look(object, stream, at, false)
    local value = given_back() or new()
    if not value then
        look(object, stream, at, true)
        value = given_back()
    end
    return value
end

local value = next_value()
if value then
    hold(session, token, value)
    if waiter then
        leave_line(object, waiter)
    end
    return value
end
call('XGROUP', 'DELCONSUMER', stream, GROUP, name)
if call('HEXISTS', object_key(object), 'closed') == 1 and call('XLEN', stream) == 0 then
    if waiter then
        leave_line(object, waiter)
    end
    return 1
end
if waiter then
    join_line(object, waiter, GETTERS)
end
return 0
