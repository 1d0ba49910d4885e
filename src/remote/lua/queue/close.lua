-- Closes a queue: OBJECT.
contents(ARGV[2])
call('HSET', object_key(ARGV[2]), 'closed', 1)
wake(ARGV[2], MOST_TOLD, GETTERS)
wake(ARGV[2], MOST_TOLD, PUTTERS)
