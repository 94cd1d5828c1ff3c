//! The steps of a push and of a scrape by themselves: their times (`cargo bench`), or the instructions that they take
//! (`make callgrind`, which tells two commits apart where times do not).
//!
//! usage: micro [options of divan] | micro --list-cases | micro --repeat CASE TIMES

mod cases;

use cases::{CASES, Case};
use divan::Bencher;
use divan::counter::BytesCount;

#[divan::bench(args = CASES)]
fn micro(bencher: Bencher, case: &Case) {
    let work = (case.prepare)();
    bencher.counter(BytesCount::new(case.bytes)).bench_local(work);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list-cases"] => CASES.iter().for_each(|case| println!("{case}")),
        ["--repeat", name, times] => {
            let case = CASES.iter().find(|case| case.name == name).expect("a case that --list-cases prints");
            let times: usize = times.parse().expect("how often the case is repeated");
            let mut work = (case.prepare)();
            (0..times).for_each(|_| work());
        }
        _ => divan::main(),
    }
}
