-- Reads the next chunk, which is SESSION's until it is done, and given again to who asks again under TOKEN: SESSION OBJECT TOKEN, and the
-- WAITER that waits if there is none. Its entry, its inbox and what it is; 0: there is none; 1: those looked at were nobody's any more.
local session, object, token, waiter = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
require_session(session)
local stream, name, at = contents(object), session .. '/' .. token, tick()

-- What has been withdrawn is not claimed, but is not pending any more.
local function claim(id)
    return call('XCLAIM', stream, GROUP, name, 0, id)[1]
end

local function given_back()
    for _ = 1, 10 do
        local id = pending(stream, BACK)
        local entry = id and claim(id)
        if entry or not id then
            return entry
        end
    end
end

local function next_entry()
    local own = pending(stream, name)
    local entry = own and claim(own) -- (Q1)
    if entry then
        return entry
    end
    look(object, stream, at, false)
    entry = given_back()
    if entry then
        return entry
    end
    local read = call('XREADGROUP', 'GROUP', GROUP, name, 'COUNT', 1, 'STREAMS', stream, '>')
    if read then
        return read[1][2][1]
    end
    look(object, stream, at, true)
    return given_back()
end

local function leave()
    if waiter then
        leave_line(object, waiter)
    end
end

for _ = 1, 100 do
    local entry = next_entry()
    if not entry then
        call('XGROUP', 'DELCONSUMER', stream, GROUP, name)
        if waiter then
            join_line(object, waiter, GETTERS)
        end
        return 0
    end
    local fields = entry[2]
    local inbox, chunk = fields[2] or '', fields[4] or ''
    if call('EXISTS', object_key(inbox)) == 1 then
        leave()
        return { entry[1], inbox, chunk }
    end
    call('XACK', stream, GROUP, entry[1])
    call('XDEL', stream, entry[1])
end
call('XGROUP', 'DELCONSUMER', stream, GROUP, name)
leave()
return 1
