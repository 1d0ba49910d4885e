-- And what a queue is besides.
if call('EXISTS', key .. ':d') == 0 then
    call('XGROUP', 'CREATE', key .. ':d', GROUP, 0, 'MKSTREAM')
end
