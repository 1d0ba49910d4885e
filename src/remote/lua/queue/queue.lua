-- A queue. o:OBJECT has `capacity`; `closed`, once it is; `redelivered`; `looked` and `from`, when and behind which entry somebody has
-- looked for the dead. o:OBJECT:d is a stream of the messages that are not done, each an entry `v` VALUE. Its one group has a consumer
-- for each message that is in somebody's hands: SESSION/TOKEN, made by the read, removed with the message; and `back`, who has what
-- was given back. o:OBJECT:h counts by SESSIONs the messages that these have got and not said to be done; those of tasks do not count.
--
-- Q1. A token is used for one message. Who asks again under it finds that message pending under its name, so that it gets the same.
-- Q2. What is pending under the name of a session that is not alive goes to `back`, and that session cannot go on (`condemn`). So who
--     is let in (`require_session`) and does not find its message under its name has done it, or given it back, itself.
-- Q3. What `back` has is given to the next get before what is new, in the order in which it was put.
-- Q4. What is read counts, and takes its place, until it is done: nothing is lost between the read and its answer, nor after it.
local GROUP, BACK = 'all', 'back'
local GETTERS, PUTTERS, JOINERS = 0, 1, 2
-- Of what concerns all who wait, so many are told at once. A guess.
local MOST_TOLD = 1000

-- The entry that a consumer has.
local function pending(stream, consumer)
    local found = call('XPENDING', stream, GROUP, '-', '+', 1, consumer)[1]
    return found and found[1]
end

-- Looks for messages in the hands of the dead: at a hundred of those in anybody's hands, and the next time at the next. Once for each
-- moment of the sessions' time, unless somebody wants to be sure.
local function look(object, stream, at, is_sure)
    local key = object_key(object)
    local known = call('HMGET', key, 'looked', 'from')
    if known[1] == tostring(at) and not is_sure then
        return
    end
    local some = call('XPENDING', stream, GROUP, known[2] or '-', '+', 100)
    local alive, found = { [BACK] = true }, 0
    for _, entry in ipairs(some) do
        local session = string.match(entry[2], '^[^/]*')
        if alive[session] == nil then
            alive[session] = is_alive(session, at) or false
        end
        if not alive[session] then
            condemn(session)
            call('XCLAIM', stream, GROUP, BACK, 0, entry[1], 'JUSTID')
            call('XGROUP', 'DELCONSUMER', stream, GROUP, entry[2])
            found = found + 1
        end
    end
    local from = #some == 100 and '(' .. some[100][1] or '-'
    if known[1] ~= tostring(at) or (known[2] or '-') ~= from then
        call('HSET', key, 'looked', at, 'from', from)
    end
    if found > 0 then
        call('HINCRBY', key, 'redelivered', found)
        wake(object, found, GETTERS)
    end
end

-- A session has got one message more, that it is to say to be done.
local function count_got(object, session)
    local gots = object_key(object) .. ':h'
    if call('HEXISTS', gots, session) == 0 then
        forget_some(gots)
    end
    call('HINCRBY', gots, session, 1)
end

-- A message is not in the queue any more.
local function after_leaving(object, stream)
    wake(object, 1, PUTTERS)
    if call('XLEN', stream) == 0 then
        wake(object, MOST_TOLD, JOINERS)
        if call('HEXISTS', object_key(object), 'closed') == 1 then
            wake(object, MOST_TOLD, GETTERS)
        end
    end
end
