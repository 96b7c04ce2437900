//! An assembler of programs that nobody wrote: functions that call each other, load addresses and
//! branch, and a table of pointers, for every instruction set. A program edited and assembled
//! again is what a release is to the one before: little changed, and most references moved.
#![allow(dead_code, missing_docs, unreachable_pub)] // Every test file uses a part of it.

pub mod machine;

use fwdelta_sim::fault::Random;

use machine::Machine;

/// One instruction, or the few that make an address.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    /// Without a reference; which one is chosen by the number.
    Plain(u32),
    /// Of the function with this name.
    Call(usize),
    /// The address of the function with this name.
    Address(usize),
    /// Over so many of the next items.
    Branch(usize),
}

/// What does not change with its place.
#[derive(Clone, Debug)]
pub struct Function {
    /// Stays when functions move.
    pub name: usize,
    pub items: Vec<Item>,
}

/// Two releases of a program for `machine`: the images of the stored deltas.
pub fn pair(machine: &Machine) -> (Vec<u8>, Vec<u8>) {
    let mut random = Random::new(machine.base);
    let old = Program::new(&mut random, 150);
    let new = old.edited(&mut random);
    (old.assemble(machine), new.assemble(machine))
}

/// The same of a program so long that hardly any of it changes: a function is new, and what stands
/// behind it moves.
pub fn long_pair(machine: &Machine) -> (Vec<u8>, Vec<u8>) {
    let old = Program::new(&mut Random::new(machine.base), 1500);
    let mut new = old.clone();
    new.functions.insert(1300, Function { name: 1500, items: vec![Item::Plain(0); 4] });
    (old.assemble(machine), new.assemble(machine))
}

#[derive(Clone, Debug)]
pub struct Program {
    pub functions: Vec<Function>,
    /// Functions that a table points to.
    pub table: Vec<usize>,
    /// Other data.
    pub numbers: Vec<u32>,
}

const FUNCTION_ALIGN: u64 = 4;

impl Program {
    /// A program of `count` functions.
    pub fn new(random: &mut Random, count: usize) -> Self {
        let function = |random: &mut Random, name| Function {
            name,
            items: (0..6 + random.below(20)).map(|_| item(random, count)).collect(),
        };
        let functions = (0..count).map(|name| function(random, name)).collect();
        let table = (0..count).filter(|_| random.below(4) == 0).collect();
        let numbers = (0..count).map(|_| random.below(1 << 14) as u32).collect();
        Self { functions, table, numbers }
    }

    /// The next release: instructions changed, added and dropped, a function new, one moved.
    pub fn edited(&self, random: &mut Random) -> Self {
        let mut next = self.clone();
        let count = self.functions.len();
        for function in &mut next.functions {
            let at = random.below(function.items.len());
            match random.below(12) {
                0 => function.items.insert(at, item(random, count)),
                1 => drop(function.items.remove(at)),
                2 => function.items[at] = item(random, count),
                _ => {}
            }
        }
        let items = (0..12).map(|_| item(random, count)).collect();
        next.functions.insert(random.below(count), Function { name: count, items });
        let moved = next.functions.remove(random.below(count));
        next.functions.insert(random.below(count), moved);
        next.table.push(count);
        let at = random.below(count);
        next.numbers[at] ^= 1;
        next
    }

    /// The image, which is loaded at the machine's base.
    pub fn assemble(&self, machine: &Machine) -> Vec<u8> {
        let starts = self.starts(machine);
        let addr = |name: usize| machine.base + starts[self.place(name)];
        let mut image = Vec::new();
        for (function, start) in self.functions.iter().zip(&starts) {
            let pool = function.addresses().count() as u64 * machine.literal_len;
            pad(&mut image, *start - pool);
            let mut literal = machine.base + *start - pool;
            for name in function.addresses().filter(|_| machine.literal_len > 0) {
                image.extend(machine.pointer(addr(name)));
            }
            for (at, item) in function.items.iter().enumerate() {
                let here = machine.base + image.len() as u64;
                let to = match *item {
                    Item::Plain(number) => number.into(),
                    Item::Call(name) => addr(name),
                    Item::Address(_) if machine.literal_len > 0 => {
                        literal += machine.literal_len;
                        literal - machine.literal_len
                    }
                    Item::Address(name) => addr(name),
                    Item::Branch(over) => {
                        let rest = function.items.iter().skip(at).take(1 + over);
                        here + rest.map(|item| machine.len(item)).sum::<u64>()
                    }
                };
                image.extend(machine.encode(item, here, to));
            }
        }
        self.data(machine, &addr, &mut image);
        image
    }

    fn data(&self, machine: &Machine, addr: &dyn Fn(usize) -> u64, image: &mut Vec<u8>) {
        pad(image, (image.len() as u64).next_multiple_of(64));
        for name in &self.table {
            image.extend(machine.pointer(addr(*name)));
        }
        for number in &self.numbers {
            image.extend(machine.word(*number));
        }
    }

    fn place(&self, name: usize) -> usize {
        self.functions.iter().position(|function| function.name == name).unwrap()
    }

    /// Where the first instruction of each function stands.
    fn starts(&self, machine: &Machine) -> Vec<u64> {
        let mut end = 0u64;
        let start = |function: &Function| {
            let pool = function.addresses().count() as u64 * machine.literal_len;
            let start = end.next_multiple_of(FUNCTION_ALIGN) + pool;
            end = start + function.items.iter().map(|item| machine.len(item)).sum::<u64>();
            start
        };
        self.functions.iter().map(start).collect()
    }
}

impl Function {
    fn addresses(&self) -> impl Iterator<Item = usize> {
        self.items.iter().filter_map(|item| match item {
            Item::Address(name) => Some(*name),
            _ => None,
        })
    }
}

fn pad(image: &mut Vec<u8>, to: u64) {
    image.resize(to as usize, 0);
}

fn item(random: &mut Random, count: usize) -> Item {
    match random.below(10) {
        0 | 1 => Item::Call(random.below(count)),
        2 => Item::Address(random.below(count)),
        3 => Item::Branch(random.below(4)),
        _ => Item::Plain(random.bits() as u32),
    }
}
