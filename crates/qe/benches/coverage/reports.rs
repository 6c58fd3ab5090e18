//! Reports of all formats, made up to a size, with lines, functions and branches about as real ones have them.

use std::fmt::Write as _;

const MB: usize = 1_000_000;

/// A report of each format, of about so many megabytes.
pub(crate) fn all(megabytes: usize) -> [(&'static str, String); 9] {
    let bytes = megabytes * MB;
    [
        ("lcov", lcov(300, bytes)),
        ("cobertura", cobertura(bytes)),
        ("jacoco", jacoco(bytes)),
        ("clover", clover(bytes)),
        ("istanbul", istanbul(bytes)),
        ("coverage-py", coverage_py(bytes)),
        ("llvm", llvm(bytes)),
        ("go", go(bytes)),
        ("simplecov", simplecov(bytes)),
    ]
}

/// Lines of a file: number and hits, with gaps as real ones have.
fn lines(count: u32) -> impl Iterator<Item = (u32, u32)> {
    (1..=count).map(|line| (line * 2 + line % 3, (line * 7) % 5))
}

pub(crate) fn lcov(files: usize, bytes: usize) -> String {
    let mut text = String::new();
    let per_file = bytes / files;
    for file in 0..files {
        writeln!(text, "SF:src/package{}/file{file}.py", file % 20).unwrap();
        for function in 0..10 {
            writeln!(
                text,
                "FN:{},function{function}\nFNDA:{},function{function}",
                function * 20 + 1,
                function % 3
            )
            .unwrap();
        }
        let start = text.len();
        for (line, hits) in lines(per_file as u32 / 8) {
            writeln!(text, "DA:{line},{hits}").unwrap();
            if line % 16 == 0 {
                writeln!(text, "BRDA:{line},0,0,{hits}\nBRDA:{line},0,1,-").unwrap();
            }
            if text.len() - start > per_file {
                break;
            }
        }
        text.push_str("end_of_record\n");
    }
    text
}

fn cobertura(bytes: usize) -> String {
    let mut text =
        "<?xml version=\"1.0\" ?>\n<coverage line-rate=\"0.5\" version=\"7\"><packages><package><classes>"
            .to_owned();
    for file in 0.. {
        writeln!(text, "<class name=\"f{file}\" filename=\"src/f{file}.py\"><methods/><lines>").unwrap();
        for (line, hits) in lines(1_000) {
            if line % 8 == 0 {
                writeln!(text, "\t\t<line number=\"{line}\" hits=\"{hits}\" branch=\"true\" condition-coverage=\"50% (1/2)\"/>").unwrap();
            } else {
                writeln!(text, "\t\t<line number=\"{line}\" hits=\"{hits}\"/>").unwrap();
            }
        }
        text.push_str("</lines></class>\n");
        if text.len() > bytes {
            break;
        }
    }
    text + "</classes></package></packages></coverage>"
}

fn jacoco(bytes: usize) -> String {
    let mut text = "<report name=\"x\"><sessioninfo id=\"a\" start=\"1\" dump=\"2\"/>".to_owned();
    for file in 0.. {
        write!(text, "<package name=\"com/x/p{file}\"><class name=\"com/x/p{file}/A\" sourcefilename=\"A.java\"><method name=\"m\" desc=\"()V\" line=\"3\"><counter type=\"METHOD\" missed=\"0\" covered=\"1\"/></method></class><sourcefile name=\"A.java\">").unwrap();
        for (line, hits) in lines(1_000) {
            write!(text, "<line nr=\"{line}\" mi=\"0\" ci=\"{hits}\" mb=\"0\" cb=\"0\"/>").unwrap();
        }
        text.push_str("</sourcefile></package>");
        if text.len() > bytes {
            break;
        }
    }
    text + "</report>"
}

fn clover(bytes: usize) -> String {
    let mut text = "<coverage generated=\"1\" clover=\"4.4.1\"><project timestamp=\"1\">".to_owned();
    for file in 0.. {
        write!(text, "<file name=\"A.java\" path=\"/p/f{file}.java\">").unwrap();
        for (line, hits) in lines(1_000) {
            write!(text, "<line num=\"{line}\" type=\"stmt\" count=\"{hits}\"/>").unwrap();
        }
        text.push_str("</file>");
        if text.len() > bytes {
            break;
        }
    }
    text + "</project></coverage>"
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn istanbul(bytes: usize) -> String {
    let place = |line: u32| {
        format!("{{\"start\":{{\"line\":{line},\"column\":2}},\"end\":{{\"line\":{line},\"column\":40}}}}")
    };
    let map = joined(lines(1_000).enumerate().map(|(at, (line, _))| format!("\"{at}\":{}", place(line))));
    let hits = joined(lines(1_000).enumerate().map(|(at, (_, hits))| format!("\"{at}\":{hits}")));
    let file = |file: usize| {
        format!(
            "\"/p/f{file}.js\":{{\"path\":\"/p/f{file}.js\",\"statementMap\":{{{map}}},\"fnMap\":{{}},\"branchMap\":{{}},\"s\":{{{hits}}},\"f\":{{}},\"b\":{{}}}}"
        )
    };
    format!("{{{}}}", joined((0..bytes / file(0).len()).map(file)))
}

fn coverage_py(bytes: usize) -> String {
    let ran = joined(lines(1_000).filter(|(_, hits)| *hits > 0).map(|(line, _)| line.to_string()));
    let missing = joined(lines(1_000).filter(|(_, hits)| *hits == 0).map(|(line, _)| line.to_string()));
    let file = |file: usize| {
        format!(
            "\"f{file}.py\":{{\"executed_lines\":[{ran}],\"missing_lines\":[{missing}],\"excluded_lines\":[],\"executed_branches\":[[2,4]],\"missing_branches\":[]}}"
        )
    };
    format!("{{\"meta\":{{\"format\":3}},\"files\":{{{}}}}}", joined((0..bytes / file(0).len()).map(file)))
}

fn llvm(bytes: usize) -> String {
    let segments =
        joined(lines(1_000).map(|(line, hits)| {
            format!("[{line},5,{hits},true,true,false],[{line},40,0,false,false,false]")
        }));
    let file =
        |file: usize| format!("{{\"filename\":\"/p/f{file}.rs\",\"segments\":[{segments}],\"branches\":[]}}");
    let files = joined((0..bytes / file(0).len()).map(file));
    format!(
        "{{\"data\":[{{\"files\":[{files}],\"functions\":[]}}],\"type\":\"llvm.coverage.json.export\",\"version\":\"3.1.0\"}}"
    )
}

fn go(bytes: usize) -> String {
    let mut text = "mode: count\n".to_owned();
    for file in 0.. {
        for (line, hits) in lines(1_000) {
            writeln!(text, "example.com/module/package/file{file}.go:{line}.12,{}.3 2 {hits}", line + 1)
                .unwrap();
        }
        if text.len() > bytes {
            break;
        }
    }
    text
}

fn simplecov(bytes: usize) -> String {
    let lines =
        joined((0..2_000).map(|line| if line % 3 == 0 { "null".into() } else { (line % 5).to_string() }));
    let file = |file: usize| format!("\"/p/f{file}.rb\":{{\"lines\":[{lines}]}}");
    format!("{{\"RSpec\":{{\"coverage\":{{{}}}}}}}", joined((0..bytes / file(0).len()).map(file)))
}
