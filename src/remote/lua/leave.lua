-- Somebody does not wait any longer: OBJECT WAITER. If it was woken, the next one is.
if call('EXISTS', object_key(ARGV[2])) == 1 and not leave_line(ARGV[2], ARGV[3]) then
    wake(ARGV[2], 1)
end
