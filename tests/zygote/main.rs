//! Zygote.
fn main() {
    crossproc::init_with_zygote();
    use crossproc::*;
    let p = Process::builder().start_method(StartMethod::Zygote).spawn(|a: i32| { println!("hi {:?}", current()); std::fs::read_dir("/proc/self/fd").unwrap().map(|e| { let e = e.unwrap(); println!("{:?} {:?}", e.path(), std::fs::read_link(e.path()))}).count(); a + 1 }, (3,)).unwrap();
    println!("{:?}", p.join());
    for m in [StartMethod::Zygote] {
    let t = std::time::Instant::now();
    for _ in 0..2000 { Process::builder().start_method(m).spawn(|| (), ()).unwrap().join().unwrap(); }
    println!("{m:?} {:?}", t.elapsed() / 2000);
    }
}
