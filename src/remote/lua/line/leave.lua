-- Somebody does not wait any longer: OBJECT WAITER. If it was woken, the next one is.
if call('EXISTS', object_key(ARGV[2])) == 1 then
    local was_in_line, line = leave_line(ARGV[2], ARGV[3])
    if not was_in_line then
        wake(ARGV[2], 1, line)
    end
end
