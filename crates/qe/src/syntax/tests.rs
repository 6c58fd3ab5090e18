use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::branches::BranchKind;
use super::functions::Outline;
use super::language::LANGUAGES;
use super::*;
use crate::stop::StopOnDrop;

fn soon() -> (Stop, StopOnDrop) {
    Stop::at(Instant::now() + Duration::from_secs(20))
}

fn outline(source: &[u8], language: Language, stop: &Stop) -> Result<Outline, SyntaxError> {
    Parsed::new(source, language, stop)?.outline(stop)
}

fn look(source: &str, language: Language) -> Outline {
    let (stop, _call) = soon();
    outline(source.as_bytes(), language, &stop).unwrap()
}

fn branches(source: &str, language: Language) -> Vec<Branch> {
    let (stop, _call) = soon();
    Parsed::new(source.as_bytes(), language, &stop).unwrap().branches(&stop).unwrap()
}

/// Qualified name, first and last line, cyclomatic and cognitive complexity.
fn figures(source: &str, language: Language) -> Vec<(String, u32, u32, u32, u32)> {
    let functions = look(source, language).functions;
    let row = |f: Function| (f.qualified, f.lines.start, f.lines.end, f.cyclomatic, f.cognitive);
    functions.into_iter().map(row).collect()
}

#[track_caller]
fn same(source: &str, language: Language, wanted: &[(&str, u32, u32, u32, u32)]) {
    let wanted: Vec<_> = wanted.iter().map(|w| (w.0.to_owned(), w.1, w.2, w.3, w.4)).collect();
    assert_eq!(figures(source, language), wanted);
}

#[test]
fn the_white_papers_examples_have_its_scores() {
    let primes = "class A {\n int sumOfPrimes(int max) {\n  int total = 0;\n  OUT: for (int i = 1; i <= max; ++i) {\n   for (int j = 2; j < i; ++j) {\n    if (i % j == 0) { continue OUT; }\n   }\n   total += i;\n  }\n  return total;\n }\n String getWords(int number) {\n  switch (number) {\n   case 1: return \"one\";\n   case 2: return \"a couple\";\n   case 3: return \"a few\";\n   default: return \"lots\";\n  }\n }\n}\n";
    same(primes, Language::Java, &[("A.sumOfPrimes", 2, 11, 4, 7), ("A.getWords", 12, 19, 4, 1)]);
    let nested = "class A {\n void myMethod() {\n  try {\n   if (condition1) {\n    for (int i = 0; i < 10; i++) {\n     while (condition2) { x(); }\n    }\n   }\n  } catch (ExcepType1 | ExcepType2 e) {\n   if (condition2) { y(); }\n  }\n }\n void myMethod2() {\n  Runnable r = () -> {\n   if (condition1) { z(); }\n  };\n }\n boolean a() { return a && b && c || d || e && f; }\n boolean b() { return a && !(b && c); }\n}\n";
    same(
        nested,
        Language::Java,
        &[
            ("A.myMethod", 2, 12, 6, 9),
            ("A.myMethod2", 13, 17, 2, 2),
            ("A.a", 18, 18, 6, 3),
            ("A.b", 19, 19, 3, 2),
        ],
    );
}

#[test]
fn python_counts_as_radon_does() {
    let source = "class C(Base):\n    \"\"\"Text.\"\"\"\n\n    @property\n    def a(self, x=1, *rest):\n        # comment\n        if x and self.y or x:\n            return [i for i in x if i if not i]\n        elif x:\n            pass\n        else:\n            pass\n        for i in x:\n            break\n        else:\n            assert x, 'no'\n        try:\n            f(lambda z: 1 if z else 2)\n        except (A, B):\n            pass\n        else:\n            pass\n        finally:\n            pass\n\n    async def b(self):\n        def inner():\n            while True:\n                pass\n        with x:\n            return inner\n\ndef m(v):\n    match v:\n        case 1 if v:\n            return 1\n        case [a, b]:\n            return 2\n        case _:\n            return 3\n";
    same(
        source,
        Language::Python,
        &[("C.a", 5, 24, 14, 11), ("C.b", 26, 31, 1, 0), ("C.b.inner", 27, 29, 2, 1), ("m", 33, 40, 4, 1)],
    );
    let outline = look(source, Language::Python);
    assert_eq!((outline.lines.blank, outline.lines.comment, outline.lines.all()), (3, 2, 40));
    let a = &outline.functions[0];
    assert_eq!(
        (a.kind, a.parameters, a.signature.as_str()),
        (FunctionKind::Method, 3, "def a(self, x=1, *rest)")
    );
    assert_eq!(outline.functions[2].parent, Some(1));
}

#[test]
fn rust_counts_arms_guards_questions_and_let_else() {
    let source = "impl<T: X> Foo<T> {\n    /// Doc.\n    fn a(&self) -> Option<u8> {\n        let Some(x) = self.x else { return None };\n        match x? {\n            1 | 2 => {}\n            3 if x => {}\n            _ => {}\n        }\n        if let Some(a) = b && c || d {} else if e {} else {}\n        'l: loop { if x { break 'l; } }\n        let f = |y: u8| if y > 1 { 1 } else { 2 };\n        None\n    }\n}\nmod inner { fn free() {} trait T { fn sig(); fn with() {} } }\n#[cfg(test)]\n// Comment.\nmod tests {\n    fn helper() {}\n    #[tokio::test]\n    async fn t() {}\n}\n#[test]\nfn u() {}\nfn v() {}\n";
    same(
        source,
        Language::Rust,
        &[
            ("Foo::a", 3, 14, 12, 15),
            ("inner::free", 16, 16, 1, 0),
            ("inner::T::with", 16, 16, 1, 0),
            ("tests::helper", 20, 20, 1, 0),
            ("tests::t", 22, 22, 1, 0),
            ("u", 25, 25, 1, 0),
            ("v", 26, 26, 1, 0),
        ],
    );
    let functions = look(source, Language::Rust).functions;
    let tests: Vec<_> = functions.iter().filter(|f| f.is_test).map(|f| f.name.as_str()).collect();
    assert_eq!(tests, ["helper", "t", "u"]);
    assert_eq!((functions[0].kind, functions[1].kind), (FunctionKind::Method, FunctionKind::Function));
}

#[test]
fn words_in_macros_count_where_they_part_the_way() {
    let source = "fn f() {\n    assert!(a && (b || c), \"{}\", if d { &&e } else { g(|| 1, || 2) });\n    m!(for x in y {});\n}\n";
    same(source, Language::Rust, &[("f", 1, 4, 5, 0)]);
}

#[test]
fn an_annotation_is_no_part_of_a_function() {
    let source = "class A {\n @Override @X(1)\n // why\n public void f() {\n }\n @Y\n void g() {}\n}\n";
    same(source, Language::Java, &[("A.f", 4, 5, 1, 0), ("A.g", 7, 7, 1, 0)]);
}

#[test]
fn javascript_functions_have_the_names_that_they_are_given() {
    let source = "const f = (a) => a ?? 1;\nclass K {\n  #p = function () {};\n  get x() { return a ? b : c; }\n}\nmodule.exports = { key: () => {}, m() { for (const x of y) { if (x) continue; } } };\nexports.g = async x => { try { await x } catch (e) { } };\ncall(function () { switch (a) { case 1: case 2: break; default: } });\n";
    same(
        source,
        Language::JavaScript,
        &[
            ("f", 1, 1, 2, 1),
            ("K.#p", 3, 3, 1, 0),
            ("K.x", 4, 4, 2, 1),
            ("key", 6, 6, 1, 0),
            ("m", 6, 6, 3, 3),
            ("exports.g", 7, 7, 2, 1),
            ("(anonymous)", 8, 8, 3, 1),
        ],
    );
    let parting = "function f(a = 1, { b = 2 }) { a ||= b?.c?.(1); }\n";
    same(parting, Language::JavaScript, &[("f", 1, 1, 6, 0)]);
    same("function f(a = 1, b?: A) {}\n", Language::TypeScript, &[("f", 1, 1, 2, 0)]);
    let typed = "namespace N { export class T<U> { private m?: U; f(this: T, x: U): void { if (x && y) {} else {} } } }\n";
    same(typed, Language::TypeScript, &[("N.T.f", 1, 1, 3, 3)]);
    same("const C = () => <div>{a && <B/>}</div>;\n", Language::Tsx, &[("C", 1, 1, 2, 1)]);
}

#[test]
fn go_methods_belong_to_their_receivers() {
    let source = "package p\n\nfunc (s *Set[T]) Has(x T) bool {\n\tif a && b {\n\t} else if c {\n\t} else {\n\t}\n\tfor i := range x {\n\t\tgo func() { if y { goto end } }()\n\t}\n\tswitch v := x.(type) {\n\tcase int, bool:\n\tdefault:\n\t}\n\tselect { case <-c: }\nend:\n\treturn true\n}\n";
    same(source, Language::Go, &[("Set.Has", 3, 18, 7, 7), ("Set.Has.(anonymous)", 9, 9, 2, 2)]);
}

#[test]
fn a_branch_tells_its_condition_and_where_its_ways_lead() {
    let ways = |branch: &Branch| -> Vec<(String, Option<u32>)> {
        branch.outcomes.iter().map(|way| (way.label.clone(), way.line)).collect()
    };
    let way = |label: &str, line: Option<u32>| (label.to_owned(), line);
    let source = "if a and (b or\n        c):\n    # why\n    x()\nelif d:\n    y()\nelse:\n    z()\nfor i in items():\n    pass\nv = 1 if q else 2\nmatch s:\n    case 1:\n        pass\n    case _:\n        pass\ntry:\n    pass\nexcept (A, B) as e:\n    pass\n";
    let found = branches(source, Language::Python);
    let heads: Vec<_> = found.iter().map(|b| (b.kind, b.lines.start, b.condition.as_str())).collect();
    let wanted = [
        (BranchKind::If, 1, "a and (b or c)"),
        (BranchKind::Logical, 1, "a and (b or c)"),
        (BranchKind::If, 5, "d"),
        (BranchKind::Loop, 9, "items()"),
        (BranchKind::Ternary, 11, "q"),
        (BranchKind::Switch, 12, "s"),
        (BranchKind::Catch, 19, "(A, B) as e"),
    ];
    assert_eq!(heads, wanted);
    assert_eq!(ways(&found[0]), [way("true", Some(4)), way("false", Some(5))]);
    assert_eq!(ways(&found[2]), [way("true", Some(6)), way("false", Some(8))]);
    assert_eq!(ways(&found[3]), [way("entered", Some(10)), way("left", None)]);
    assert_eq!(ways(&found[5]), [way("case 1", Some(13)), way("case _", Some(15))]);
    let rust = "fn f() {\n  if a {\n    b\n  } else if (c) {\n    d\n  } else {\n    e\n  }\n  match x {\n    1 => {}\n    _ => {}\n  }\n}\n";
    let found = branches(rust, Language::Rust);
    assert_eq!(ways(&found[0]), [way("true", Some(3)), way("false", Some(4))]);
    assert_eq!(
        (found[1].condition.as_str(), ways(&found[1])),
        ("c", vec![way("true", Some(5)), way("false", Some(7))])
    );
    assert_eq!(ways(&found[2]), [way("case 1", Some(10)), way("case _", Some(11))]);
    for (language, source) in [
        (
            Language::Java,
            "class A { void f() {\nif (a && b) {\n x(); } else { y(); }\nswitch (a) {\n case 1: b(); break;\n default: c(); } } }",
        ),
        (
            Language::Go,
            "package p\nfunc f() {\nif x := 1; a {\n b() }\nfor i := 0; i < 3; i++ {\n c() }\nswitch a {\n case 1: b()\n default: c() } }",
        ),
        (
            Language::TypeScript,
            "function f() {\nif (a)\n b();\nfor (const x of y) c();\nwhile (d) e();\nswitch (a) { case 1: b(); default: c(); } }",
        ),
    ] {
        let found = branches(source, language);
        assert!(
            found.len() >= 3 && found.iter().all(|branch| !branch.condition.is_empty()),
            "{language:?}: {found:?}"
        );
        let last = ways(found.last().unwrap());
        assert_eq!((last[0].0.as_str(), last[1].0.as_str()), ("case 1", "default"), "{language:?}");
    }
}

#[test]
fn calls_are_counted_by_the_last_part_of_their_name() {
    let (stop, _call) = soon();
    for (language, source) in [
        (Language::Python, "a.b.f(1)\nf()\nK()(2)\n"),
        (Language::Rust, "fn x() { a::f::<u8>(); self.b.f(); K::new(); }"),
        (Language::JavaScript, "a.f(); f(); new K(); a[0]()"),
        (Language::Java, "class A { void m() { a.f(); f(); new K<X>(); } }"),
        (Language::Go, "package p\nfunc m() { a.f(); f(); K() }"),
    ] {
        let parsed = Parsed::new(source.as_bytes(), language, &stop).unwrap();
        let calls = parsed.calls(&stop).unwrap();
        assert_eq!(calls.get("f"), Some(&2), "{language:?}: {calls:?}");
        let other = if language == Language::Rust { "new" } else { "K" };
        assert_eq!((calls.get(other), calls.len()), (Some(&1), 2), "{language:?}: {calls:?}");
    }
}

#[test]
fn words_are_equal_whatever_is_between_them() {
    let (stop, _call) = soon();
    let words = |source: &str| -> Vec<u32> {
        let parsed = Parsed::new(source.as_bytes(), Language::Java, &stop).unwrap();
        parsed.tokens(&stop).unwrap().iter().map(|token| token.hash).collect()
    };
    let one = words("class A { String s = \"a b\"; }");
    assert_eq!(one, words("class A {\n // c\n String s\n = \"a b\"; /* d */ }"));
    assert_ne!(one, words("class A { String s = \"a  b\"; }"));
    assert_eq!(one.len(), 9);
}

/// The processor time that this thread has used.
fn used() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// In processor time, which others that run here do not take.
#[test]
fn deep_and_long_sources_end_in_time() {
    let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(3_600));
    for deep in [
        "(".repeat(20_000),
        "{".repeat(20_000),
        "[[(".repeat(10_000),
        "if a:\n ".repeat(20_000),
        "fn a() {".repeat(20_000),
    ] {
        for language in LANGUAGES {
            let began = used();
            let result = outline(deep.as_bytes(), language, &stop);
            assert!(result.is_ok() || result == Err(SyntaxError::TooSlow), "{language:?}: {result:?}");
            assert!(used().saturating_sub(began) < Duration::from_secs(15), "{language:?}");
        }
    }
    let long = vec![b' '; SOURCE_MAX_BYTES + 1];
    assert!(matches!(outline(&long, Language::Go, &stop), Err(SyntaxError::TooLong { .. })));
}

#[test]
fn a_stopped_work_stops() {
    let (stop, call) = soon();
    drop(call);
    let source = "x = 1\n".repeat(100_000);
    assert_eq!(outline(source.as_bytes(), Language::Python, &stop), Err(SyntaxError::Stopped));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_too_strange(source in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "([(){}\\[\\]:;,.=<>&|?!\"'`#/*\n\t ]|if|else|fn|def|class|for|match|case|a|=>|->){0,80}".prop_map(String::into_bytes),
    ]) {
        let (stop, _call) = soon();
        for language in LANGUAGES {
            let parsed = Parsed::new(&source, language, &stop).unwrap();
            let outline = parsed.outline(&stop).unwrap();
            let lines = source.strip_suffix(b"\n").unwrap_or(&source);
            let all = if lines.is_empty() { 0 } else { lines.split(|&byte| byte == b'\n').count() };
            prop_assert_eq!(outline.lines.all() as usize, all);
            for function in &outline.functions {
                prop_assert!(1 <= function.lines.start && function.lines.start <= function.lines.end);
                prop_assert!(function.lines.end as usize <= all.max(1) && function.cyclomatic >= 1);
            }
            parsed.branches(&stop).unwrap();
            parsed.calls(&stop).unwrap();
            parsed.tokens(&stop).unwrap();
        }
    }
}
