//! smoke
use crossproc::*;
#[test]
fn smoke() {
    let v = Value::new(5u64).unwrap();
    assert_eq!(v.get(), 5);
    assert_eq!(v.update(|x| x + 1), 6);
    let a = Array::from_iter([1i32, 2, 3]).unwrap();
    a.set(1, 7).unwrap();
    assert_eq!(a.to_vec(), [1, 7, 3]);
    a.lock().unwrap()[0] = 9;
    assert_eq!(a.get(0).unwrap(), 9);
    let l = Lock::new().unwrap();
    let g = l.lock().unwrap();
    assert!(matches!(l.lock(), Err(LockError::AlreadyHeld)));
    drop(g);
    let t = std::time::Instant::now();
    for _ in 0..10_000_000 {
        drop(l.lock());
    }
    println!("lock {:?}", t.elapsed() / 10_000_000);
    let t = std::time::Instant::now();
    let mut s = 0u64;
    for _ in 0..10_000_000 {
        s = s.wrapping_add(std::hint::black_box(&v).get());
    }
    println!("get {:?} {s}", t.elapsed() / 10_000_000);
    println!("{:?}", Array::<u8>::new(1 << 50).unwrap_err());
    println!("{:?}", Array::<u8>::new(30 << 30).unwrap_err());
}
