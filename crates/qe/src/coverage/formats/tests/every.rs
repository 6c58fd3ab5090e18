//! What runs of a program say in each of the formats: it is read as it was, is the same by way of lcov, and what several
//! runs say is what the sum of them says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::read_text;
use super::whole::lcov;
use crate::coverage::formats::Format;
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome, Report};

/// A line that is the whole of a function, if it has a name.
#[derive(Debug, Clone, PartialEq)]
struct At {
    hits: u32,
    /// How often a decision on it was true and false; not at all if the line has not run, and at all if it has.
    decision: Option<(u32, u32)>,
    function: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct File {
    path: String,
    lines: BTreeMap<u32, At>,
}

/// How a format names outcomes.
#[derive(Clone, Copy)]
enum Outcomes {
    Untold,
    Numbered,
    Named(&'static str, &'static str),
    /// How many were taken, not which.
    Counted,
    Jumps,
}

type Name = fn(&str) -> String;

/// What a format can say, and a writer of it.
struct Dialect {
    format: Format,
    write: fn(&[File]) -> String,
    /// The most that is said of how often something ran.
    most: u32,
    outcomes: Outcomes,
    /// How the name of a function is told, and whether its end is.
    functions: Option<(Name, bool)>,
}

const DIALECTS: [Dialect; 9] = {
    const fn of(format: Format, write: fn(&[File]) -> String, outcomes: Outcomes) -> Dialect {
        Dialect { format, write, most: u32::MAX, outcomes, functions: None }
    }
    const WORDS: Outcomes = Outcomes::Named("true", "false");
    [
        Dialect {
            functions: Some((str::to_owned, true)),
            ..of(Format::Lcov, |files| lcov(&said(&DIALECTS[0], files)), Outcomes::Numbered)
        },
        Dialect {
            functions: Some((|name| format!("{name}()"), true)),
            ..of(Format::Cobertura, cobertura, Outcomes::Counted)
        },
        Dialect {
            most: 1,
            functions: Some((|name| format!("A.{name}()V"), false)),
            ..of(Format::Jacoco, jacoco, Outcomes::Counted)
        },
        Dialect { functions: Some((str::to_owned, false)), ..of(Format::Clover, clover, WORDS) },
        Dialect { functions: Some((str::to_owned, true)), ..of(Format::Istanbul, istanbul, WORDS) },
        Dialect {
            most: 1,
            functions: Some((str::to_owned, true)),
            ..of(Format::CoveragePy, coverage_py, Outcomes::Jumps)
        },
        Dialect { functions: Some((str::to_owned, true)), ..of(Format::Llvm, llvm, WORDS) },
        of(Format::Go, go, Outcomes::Untold),
        Dialect {
            functions: Some((|name| format!("A#{name}"), true)),
            ..of(Format::Simplecov, simplecov, Outcomes::Named("then", "else"))
        },
    ]
};

/// What a report in a format is to say of runs.
fn said(dialect: &Dialect, files: &[File]) -> Report {
    Report::new(files.iter().map(|file| {
        let mut told = FileCoverage::new(&*file.path);
        let (mut lines, mut branches, mut functions) = (Vec::new(), Vec::new(), Vec::new());
        for (&number, at) in &file.lines {
            let hits = at.hits.min(dialect.most);
            lines.push(Line { number, hits });
            if let Some(ways) = at.decision {
                branches.extend(outcomes(dialect, number, at.hits > 0, ways));
            }
            if let (Some(name), Some((named, has_end))) = (&at.function, dialect.functions) {
                functions.push(Function {
                    start: number,
                    name: named(name),
                    end: has_end.then_some(number),
                    hits,
                });
            }
        }
        told.lines = Some(lines);
        told.branches = Some(branches).filter(|branches| !branches.is_empty());
        told.functions = Some(functions).filter(|functions| !functions.is_empty());
        told.sorted()
    }))
}

fn outcomes(dialect: &Dialect, line: u32, has_run: bool, (yes, no): (u32, u32)) -> Vec<Branch> {
    let branch = |outcome, taken: u32| Branch {
        line,
        block: 0,
        outcome,
        taken: has_run.then_some(taken.min(dialect.most)),
    };
    let both = |one, other| vec![branch(one, yes), branch(other, no)];
    match dialect.outcomes {
        Outcomes::Untold => Vec::new(),
        Outcomes::Numbered => both(Outcome::Number(0), Outcome::Number(1)),
        Outcomes::Named(one, other) => both(Outcome::text(one), Outcome::text(other)),
        Outcomes::Jumps => both(Outcome::text(format!("jump to line {}", line + 1)), Outcome::text("exit")),
        Outcomes::Counted => {
            let taken = u32::from(yes > 0) + u32::from(no > 0);
            (0..2).map(|number| branch(Outcome::Number(number), u32::from(number < taken))).collect()
        }
    }
}

/// That there are none of a kind is said by some formats, and not by others.
fn bare(report: &Report) -> Report {
    Report::new(report.files().iter().map(|file| {
        let mut file = (**file).clone();
        file.branches = file.branches.filter(|branches| !branches.is_empty());
        file.functions = file.functions.filter(|functions| !functions.is_empty());
        file
    }))
}

/// A text for each line.
fn each(file: &File, text: impl Fn(u32, &At) -> Option<String>) -> Vec<String> {
    file.lines.iter().filter_map(|(number, at)| text(*number, at)).collect()
}

fn cobertura(files: &[File]) -> String {
    let files = files.iter().map(|file| {
        let method = |number, at: &At| {
            let name = at.function.as_ref()?;
            Some(format!("<method name=\"{name}\" signature=\"()\"><lines><line number=\"{number}\" hits=\"{}\"/></lines></method>", at.hits))
        };
        let line = |number, at: &At| {
            let conditions = at.decision.map(|(yes, no)| {
                let taken = u32::from(yes > 0) + u32::from(no > 0);
                format!(" branch=\"true\" condition-coverage=\"{}% ({taken}/2)\"", taken * 50)
            });
            Some(format!("<line number=\"{number}\" hits=\"{}\"{}/>", at.hits, conditions.unwrap_or_default()))
        };
        let (methods, lines) = (each(file, method).concat(), each(file, line).concat());
        format!("<class filename=\"{}\"><methods>{methods}</methods><lines>{lines}</lines></class>", file.path)
    });
    format!("<coverage line-rate=\"1\"><packages>{}</packages></coverage>", files.collect::<String>())
}

fn jacoco(files: &[File]) -> String {
    let files = files.iter().map(|file| {
        let method = |number, at: &At| {
            let covered = u32::from(at.hits > 0);
            let name = at.function.as_ref()?;
            Some(format!("<method name=\"{name}\" desc=\"()V\" line=\"{number}\"><counter type=\"METHOD\" missed=\"{}\" covered=\"{covered}\"/></method>", 1 - covered))
        };
        let line = |number, at: &At| {
            let ran = u32::from(at.hits > 0) * 3;
            let taken = at.decision.map_or(0, |(yes, no)| u32::from(yes > 0) + u32::from(no > 0));
            let missed = at.decision.map_or(0, |_| 2 - taken);
            Some(format!("<line nr=\"{number}\" mi=\"{}\" ci=\"{ran}\" mb=\"{missed}\" cb=\"{taken}\"/>", 3 - ran))
        };
        let (methods, lines, path) = (each(file, method).concat(), each(file, line).concat(), &file.path);
        format!("<package name=\"\"><class name=\"A\" sourcefilename=\"{path}\">{methods}</class><sourcefile name=\"{path}\">{lines}</sourcefile></package>")
    });
    format!("<report name=\"r\">{}</report>", files.collect::<String>())
}

fn clover(files: &[File]) -> String {
    let files = files.iter().map(|file| {
        let lines = each(file, |number, at| {
            let hits = at.hits;
            let function = at.function.as_ref().map(|name| {
                format!("<line num=\"{number}\" type=\"method\" name=\"{name}\" count=\"{hits}\"/>")
            });
            let line = match at.decision {
                Some((yes, no)) => format!("<line num=\"{number}\" type=\"cond\" count=\"{hits}\" truecount=\"{yes}\" falsecount=\"{no}\"/>"),
                None => format!("<line num=\"{number}\" type=\"stmt\" count=\"{hits}\"/>"),
            };
            Some(function.unwrap_or_default() + &line)
        });
        format!("<file path=\"{}\">{}</file>", file.path, lines.concat())
    });
    format!("<coverage clover=\"4.4.1\"><project>{}</project></coverage>", files.collect::<String>())
}

fn istanbul(files: &[File]) -> String {
    let files = files.iter().map(|file| {
        let span = |number: u32| format!("{{\"start\":{{\"line\":{number},\"column\":0}},\"end\":{{\"line\":{number},\"column\":null}}}}");
        let statements = each(file, |number, _| Some(format!("\"{number}\":{}", span(number))));
        let hits = each(file, |number, at| Some(format!("\"{number}\":{}", at.hits)));
        let functions = each(file, |number, at| {
            let name = at.function.as_ref()?;
            Some(format!("\"{number}\":{{\"name\":\"{name}\",\"decl\":{0},\"loc\":{0}}}", span(number)))
        });
        let called = each(file, |number, at| at.function.as_ref().map(|_| format!("\"{number}\":{}", at.hits)));
        let decisions = each(file, |number, at| {
            at.decision?;
            Some(format!("\"{number}\":{{\"type\":\"if\",\"loc\":{},\"locations\":[{{}},{{}}]}}", span(number)))
        });
        let taken = each(file, |number, at| at.decision.map(|(yes, no)| format!("\"{number}\":[{yes},{no}]")));
        let [statements, hits, functions, called, decisions, taken] =
            [statements, hits, functions, called, decisions, taken].map(|all| all.join(","));
        format!("\"{0}\":{{\"path\":\"{0}\",\"statementMap\":{{{statements}}},\"s\":{{{hits}}},\"fnMap\":{{{functions}}},\"f\":{{{called}}},\"branchMap\":{{{decisions}}},\"b\":{{{taken}}}}}", file.path)
    });
    format!("{{{}}}", files.collect::<Vec<_>>().join(","))
}

fn coverage_py(files: &[File]) -> String {
    let files = files.iter().map(|file| {
        let lines = |has_run: bool| {
            each(file, |number, at| ((at.hits > 0) == has_run).then(|| number.to_string())).join(",")
        };
        let jumps = |is_taken: bool| {
            let jumps = each(file, |number, at| {
                let (yes, no) = at.decision?;
                let to = [(yes, i64::from(number) + 1), (no, -1)];
                let these = to.into_iter().filter(|(taken, _)| (*taken > 0) == is_taken);
                Some(these.map(|(_, to)| format!("[{number},{to}]")).collect::<Vec<_>>().join(","))
            });
            jumps.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(",")
        };
        let functions = each(file, |number, at| {
            let name = at.function.as_ref()?;
            let (ran, missing) = if at.hits > 0 { (number.to_string(), String::new()) } else { (String::new(), number.to_string()) };
            Some(format!("\"{name}\":{{\"executed_lines\":[{ran}],\"missing_lines\":[{missing}],\"start_line\":{number}}}"))
        });
        format!("\"{}\":{{\"executed_lines\":[{}],\"missing_lines\":[{}],\"executed_branches\":[{}],\"missing_branches\":[{}],\"functions\":{{{}}}}}", file.path, lines(true), lines(false), jumps(true), jumps(false), functions.join(","))
    });
    format!("{{\"meta\":{{\"format\":3}},\"files\":{{{}}}}}", files.collect::<Vec<_>>().join(","))
}

fn llvm(files: &[File]) -> String {
    let functions = files.iter().flat_map(|file| {
        each(file, |number, at| {
            let name = at.function.as_ref()?;
            Some(format!("{{\"name\":\"{name}\",\"count\":{},\"filenames\":[\"{}\"],\"regions\":[[{number},1,{number},9,{},0,0,0]]}}", at.hits, file.path, at.hits))
        })
    });
    let functions = functions.collect::<Vec<_>>().join(",");
    let files = files.iter().map(|file| {
        let segments = each(file, |number, at| {
            Some(format!("[{number},1,{},true,true,false],[{number},9,0,false,false,false]", at.hits))
        });
        let branches = each(file, |number, at| {
            let (yes, no) = at.decision?;
            Some(format!("[{number},2,{number},5,{yes},{no},0,0,4]"))
        });
        format!(
            "{{\"filename\":\"{}\",\"segments\":[{}],\"branches\":[{}]}}",
            file.path,
            segments.join(","),
            branches.join(",")
        )
    });
    let files = files.collect::<Vec<_>>().join(",");
    format!(
        "{{\"data\":[{{\"files\":[{files}],\"functions\":[{functions}]}}],\"type\":\"llvm.coverage.json.export\",\"version\":\"3.1.0\"}}"
    )
}

fn go(files: &[File]) -> String {
    let mut text = "mode: count\n".to_owned();
    for file in files {
        for (number, at) in &file.lines {
            writeln!(text, "{}:{number}.1,{number}.9 1 {}", file.path, at.hits).unwrap();
        }
    }
    text
}

fn simplecov(files: &[File]) -> String {
    let files = files.iter().map(|file| {
        let last = file.lines.keys().next_back().copied().unwrap_or(0);
        let hits = (1..=last).map(|number| file.lines.get(&number).map_or("null".into(), |at| at.hits.to_string()));
        let branches = each(file, |number, at| {
            let (yes, no) = at.decision?;
            Some(format!("\"[:if, 0, {number}, 1, {number}, 9]\":{{\"[:then, 1, {number}, 2, {number}, 3]\":{yes},\"[:else, 2, {number}, 4, {number}, 5]\":{no}}}"))
        });
        let methods = each(file, |number, at| {
            let name = at.function.as_ref()?;
            Some(format!("\"[\\\"A\\\", :{name}, {number}, 1, {number}, 9]\":{}", at.hits))
        });
        format!("\"{}\":{{\"lines\":[{}],\"branches\":{{{}}},\"methods\":{{{}}}}}", file.path, hits.collect::<Vec<_>>().join(","), branches.join(","), methods.join(","))
    });
    format!(
        "{{\"RSpec\":{{\"coverage\":{{{}}},\"timestamp\":1700000000}}}}",
        files.collect::<Vec<_>>().join(",")
    )
}

/// Whether a line has a decision, and is a function; what each run does on it.
type Drawn = (bool, bool, Vec<(u32, u32, u32)>);

/// A program, and what each of some runs does on its lines.
fn runs() -> impl Strategy<Value = Vec<Vec<File>>> {
    let counts = (0_u32..3, 0_u32..3, 0_u32..3);
    let lines = btree_map(1_u32..60, (any::<bool>(), any::<bool>(), vec(counts, 3)), 1..15);
    btree_map("[a-d]{1,3}\\.x", lines, 1..4).prop_map(|files| {
        let run = |run: usize| {
            let files = files.iter().map(|(path, lines)| {
                let line = |(number, (has_decision, has_function, counts)): (&u32, &Drawn)| {
                    let (hits, yes, no) = counts[run];
                    let ways = if hits == 0 { (0, 0) } else { (yes + u32::from(yes + no == 0), no) };
                    let function = has_function.then(|| format!("f{number}"));
                    (*number, At { hits, decision: has_decision.then_some(ways), function })
                };
                File { path: path.clone(), lines: lines.iter().map(line).collect() }
            });
            files.collect()
        };
        (0..3).map(run).collect()
    })
}

/// What all runs do together.
fn sum(runs: &[Vec<File>]) -> Vec<File> {
    let mut whole = runs[0].clone();
    for (file, more) in runs[1..].iter().flat_map(|run| (0..).zip(run)) {
        for (at, more) in whole[file].lines.values_mut().zip(more.lines.values()) {
            at.hits += more.hits;
            at.decision =
                at.decision.zip(more.decision).map(|(one, other)| (one.0 + other.0, one.1 + other.1));
        }
    }
    whole
}

/// With what ran as having run once.
fn once(report: &Report) -> Report {
    Report::new(report.files().iter().map(|file| {
        let mut file = (**file).clone();
        file.lines.iter_mut().flatten().for_each(|line| line.hits = line.hits.min(1));
        file.branches
            .iter_mut()
            .flatten()
            .for_each(|branch| branch.taken = branch.taken.map(|taken| taken.min(1)));
        file.functions.iter_mut().flatten().for_each(|function| function.hits = function.hits.min(1));
        file
    }))
}

fn without_branches(report: &Report) -> Report {
    Report::new(report.files().iter().map(|file| FileCoverage { branches: None, ..(**file).clone() }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_format_says_what_ran_and_so_does_lcov_made_of_it(runs in runs()) {
        for dialect in &DIALECTS {
            let text = (dialect.write)(&runs[0]);
            let parsed = read_text(&text).unwrap();
            prop_assert_eq!((parsed.format, parsed.is_whole, &parsed.warnings), (dialect.format, true, &Vec::new()));
            prop_assert_eq!(bare(&parsed.report), said(dialect, &runs[0]), "{}", text);
            prop_assert_eq!(&read_text(&lcov(&parsed.report)).unwrap().report, &parsed.report, "{}", text);
        }
    }

    #[test]
    fn runs_say_together_in_each_format_what_the_sum_of_them_says(runs in runs()) {
        for dialect in &DIALECTS {
            let read = |files: &[File]| bare(&read_text(&(dialect.write)(files)).unwrap().report);
            let parts: Vec<Report> = runs.iter().map(|run| read(run)).collect();
            let whole = read(&sum(&runs));
            let merged = parts.iter().cloned().reduce(Report::merge).unwrap();
            let backwards = parts.iter().rev().cloned().reduce(Report::merge).unwrap();
            prop_assert_eq!(&merged, &backwards, "in any order");
            if matches!(dialect.outcomes, Outcomes::Counted) {
                // One run may have taken the one, the other the other: nobody knows, so the least counts.
                let (least, all) = (merged.totals().branch, whole.totals().branch);
                prop_assert_eq!(least.map(|counts| counts.total), all.map(|counts| counts.total));
                prop_assert!(least.map(|counts| counts.covered) <= all.map(|counts| counts.covered));
                prop_assert_eq!(once(&without_branches(&merged)), once(&without_branches(&whole)));
            } else if dialect.most == 1 {
                prop_assert_eq!(once(&merged), whole);
            } else {
                prop_assert_eq!(merged, whole);
            }
        }
    }

    #[test]
    fn shards_of_files_and_lines_are_in_each_format_the_whole(runs in runs(), shards in vec(0..3_usize, 60)) {
        for dialect in &DIALECTS {
            let shard = |wanted: usize| -> Vec<File> {
                let of_file = |file: &File| {
                    let lines = file.lines.iter().filter(|(number, _)| shards[**number as usize - 1] == wanted);
                    File { path: file.path.clone(), lines: lines.map(|(number, at)| (*number, at.clone())).collect() }
                };
                runs[0].iter().map(of_file).filter(|file| !file.lines.is_empty()).collect()
            };
            let parts = (0..3).map(shard).filter(|files| !files.is_empty());
            let merged = parts.map(|files| read_text(&(dialect.write)(&files)).unwrap().report).reduce(Report::merge);
            prop_assert_eq!(bare(&merged.unwrap()), said(dialect, &runs[0]));
        }
    }
}
