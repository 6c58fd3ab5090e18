//! Functions of Rust by the path that the source has for them.
//!
//! The linker knows a function as often as it was compiled: for each choice of types, and in each crate that includes its
//! file, as the tests of a library do. In the source it is one.

/// The path of a function within its crate, without types, if the name is a mangled one of Rust's: `parse::version` of
/// `_RNvNtCs1234_6semver5parse7version`, and of a method of a trait its name alone.
pub(super) fn path(name: &str) -> Option<String> {
    let demangled = format!("{:#}", rustc_demangle::try_demangle(name).ok()?);
    let path = without_types(&demangled);
    // What has no crate before it is a method of a type or trait that stood between `<` and `>`.
    let path = path.split_once("::").map_or(&*path, |(_, path)| path);
    Some(if path.is_empty() { demangled } else { path.to_owned() })
}

/// Leaves out what stands between `<` and `>`, and the `::` before it.
fn without_types(text: &str) -> String {
    let (mut kept, mut depth, mut before) = (String::with_capacity(text.len()), 0_u32, ' ');
    for one in text.chars() {
        match one {
            '<' => {
                if depth == 0 && kept.ends_with("::") {
                    kept.truncate(kept.len() - 2);
                }
                depth += 1;
            }
            // The arrow of a function's type.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(one),
            _ => {}
        }
        before = one;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_one_name_for_whatever_types_and_in_whatever_crate_it_was_compiled() {
        let named = |names: &[&str], wanted: &str| {
            for name in names {
                assert_eq!(path(name).as_deref(), Some(wanted), "{name}");
            }
        };
        named(&["_RINvCs32gj3y4fnmh_4main8smallestdEB2_", "_RINvCs1_5other8smallestlEB2_"], "smallest");
        named(&["_RNvNtCs32gj3y4fnmh_4main6shapes5total"], "shapes::total");
        named(&["_RNCNvCs32gj3y4fnmh_4main4main0B3_"], "main::{closure#0}");
        named(&["_RNvMNtCs32gj3y4fnmh_4main6shapesNtB2_5Shape4area"], "area");
        named(&["_ZN4main6shapes5total17h0123456789abcdefE"], "shapes::total");
        assert_eq!((path("main"), path("_Z3addii"), path("jump")), (None, None, None));
    }

    #[test]
    fn types_are_left_out_with_arrows_and_types_within_them() {
        for (text, wanted) in [
            ("a::b::<dyn Fn(u8) -> Vec<u8>>::c", "a::b::c"),
            ("<a::B<u8> as c::D>::e", "::e"),
            ("a::b::<u8>::{closure#0}", "a::b::{closure#0}"),
            ("a<b", "a"),
            ("a>b->c", "ab->c"),
        ] {
            assert_eq!(without_types(text), wanted);
        }
    }
}
