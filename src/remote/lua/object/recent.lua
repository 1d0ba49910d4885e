-- What was answered to requests that must not be carried out twice, in o:OBJECT:d: by SESSION/TOKEN until when it is kept, and the answer.

local function recall(object, name)
    local found = call('HGET', object_key(object) .. ':d', name)
    return found and string.match(found, '^%d+ (.*)$')
end

-- For so many milliseconds of the sessions' time, which is longer than anybody repeats a request.
local function remember(object, name, answer, at, time)
    local key = object_key(object) .. ':d'
    local some = call('HRANDFIELD', key, 10, 'WITHVALUES')
    for index = 1, #some, 2 do
        if (tonumber(string.match(some[index + 1], '^%d+')) or 0) < at then
            call('HDEL', key, some[index])
        end
    end
    call('HSET', key, name, string.format('%.0f %s', at + tonumber(time), answer))
end
