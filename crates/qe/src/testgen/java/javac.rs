//! The compiler and the machine of Java in the copy: sources by their roots, jars by where they usually lie, never the network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::native::{self, BUILD};
use super::super::sandbox::Job;
use super::super::scratch::Scratch;
use super::cases::Flavour;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Other source roots that are searched, and jars.
const ROOTS_MAX: usize = 40;
const JARS_MAX: usize = 120;
/// Of the heap, for the project's code.
const HEAP: &str = "-Xmx512m";
const BUILD_FILES: [&str; 3] = ["pom.xml", "build.gradle", "build.gradle.kts"];

/// File, line and text.
pub(super) type Errors = Vec<(String, u32, String)>;

/// A project that can be compiled.
pub(super) struct Javac<'a> {
    scratch: &'a Scratch,
    stop: &'a Stop,
    /// The root of the target's package, then others.
    pub(super) roots: Vec<PathBuf>,
    jars: Vec<PathBuf>,
    pub(super) flavour: Flavour,
    /// JUnit's own jars; none if they are not here.
    junit: Vec<PathBuf>,
    pub(super) version: String,
    pub(super) build_file: Option<&'static str>,
}

impl<'a> Javac<'a> {
    pub(super) fn of(
        scratch: &'a Scratch,
        file: &str,
        package: &str,
        stop: &'a Stop,
    ) -> Result<Self, Refusal> {
        let place = scratch.project().join(file);
        let folder = place.parent().map(Path::to_path_buf).unwrap_or_default();
        let inside = package.replace('.', "/");
        let root = if inside.is_empty() { Some(folder.clone()) } else { above(&folder, &inside) };
        let root = root.ok_or_else(|| {
            Refusal(format!("{file}: plan only: its folder is not that of its package {package}"))
        })?;
        let builds: Vec<(&'static str, String)> = place
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(scratch.project()))
            .flat_map(|folder| BUILD_FILES.map(|name| (name, folder.join(name))))
            .filter_map(|(name, path)| Some((name, fs::read_to_string(path).ok()?)))
            .collect();
        let mut roots = vec![root];
        let mut seen: BTreeSet<PathBuf> = roots.iter().cloned().collect();
        for other in scratch.files.iter().filter(|one| has_ending(one, "java")) {
            let Some((before, _)) = other.split_once("src/main/java/") else { continue };
            let root = scratch.project().join(before).join("src/main/java");
            if roots.len() < ROOTS_MAX && seen.insert(root.clone()) {
                roots.push(root);
            }
        }
        for root in &roots {
            // It would name modules that are not here; without it everything is of one.
            let _ = fs::remove_file(root.join("module-info.java"));
        }
        let flavour = flavour(scratch, &builds);
        let mut jars: Vec<PathBuf> = scratch
            .files
            .iter()
            .filter(|one| has_ending(one, "jar"))
            .map(|one| scratch.project().join(one))
            .collect();
        for (group, artifact) in builds.iter().flat_map(|(_, text)| dependencies(text)) {
            jars.extend(installed(&group, &artifact));
        }
        jars.truncate(JARS_MAX);
        let mut javac = Self {
            scratch,
            stop,
            roots,
            jars,
            flavour,
            junit: junit(flavour),
            version: String::new(),
            build_file: builds.first().map(|(name, _)| *name),
        };
        let (is_done, said) = javac.javac(&["-version"])?;
        if !is_done {
            return Err(Refusal(
                "plan only: javac is not installed, or not where the server finds it".into(),
            ));
        }
        said.trim().trim_start_matches("javac ").clone_into(&mut javac.version);
        Ok(javac)
    }

    /// Whether JUnit itself is here to compile the tests against.
    pub(super) fn has_junit(&self) -> bool {
        !self.junit.is_empty()
    }

    /// Tests of this JUnit are compiled from now on.
    pub(super) fn is_for(&mut self, flavour: Flavour) {
        self.flavour = flavour;
        self.junit = junit(flavour);
    }

    fn javac(&self, args: &[&str]) -> Result<(bool, String), Refusal> {
        let mut all =
            vec!["-J-Xmx512m", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-J-XX:-UsePerfData"];
        all.extend(args);
        let output = native::compiler(self.scratch, "javac", Job::of("javac", &all), BUILD, self.stop)?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr);
        Ok((output.status.success(), said))
    }

    fn class_path(&self, first: &[PathBuf]) -> String {
        let all = first.iter().chain(&self.jars).chain(&self.junit);
        all.map(|one| one.display().to_string()).collect::<Vec<_>>().join(":")
    }

    /// Compiles these files, and what they use, into a folder of this name; or what the compiler does not take.
    pub(super) fn compile(&self, out: &str, files: &[PathBuf]) -> Result<Result<(), Errors>, Refusal> {
        let out = self.scratch.beside(out);
        let failed = |error: std::io::Error| Refusal(format!("the copy cannot be written: {error}"));
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(&out).map_err(failed)?;
        let text = |path: &PathBuf| path.display().to_string();
        let roots: Vec<String> = self.roots.iter().map(text).collect();
        let (out, roots, path) = (text(&out), roots.join(":"), self.class_path(&[]));
        let mut args = vec![
            "-d",
            &out,
            "-sourcepath",
            &roots,
            "-cp",
            &path,
            "-proc:none",
            "-nowarn",
            "-g",
            "-implicit:class",
            "-encoding",
            "UTF-8",
            "-Xmaxerrs",
            "5000",
        ];
        let files: Vec<String> = files.iter().map(text).collect();
        args.extend(files.iter().map(String::as_str));
        let (is_done, said) = self.javac(&args)?;
        if is_done {
            return Ok(Ok(()));
        }
        let errors: Errors = said.lines().filter_map(error).collect();
        if errors.is_empty() {
            let text: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
            let text: String = text.chars().take(400).collect();
            return Err(Refusal(format!("plan only: javac cannot build it here: {text}")));
        }
        Ok(Err(errors))
    }

    /// Runs a class that was compiled into a folder of this name; how it ended.
    pub(super) fn run(
        &self,
        out: &str,
        class: &str,
        args: &[&str],
        env: &[(&str, String)],
    ) -> Result<String, Refusal> {
        let mut first = vec![self.scratch.beside(out)];
        for root in &self.roots {
            first.push(root.clone());
            // What is read at run time lies beside the sources.
            first.push(root.with_file_name("resources"));
        }
        let path = self.class_path(&first);
        let tmp = format!("-Djava.io.tmpdir={}", self.scratch.beside("tmp").display());
        let mut all = vec![
            HEAP,
            "-Xss2m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Xshare:auto",
            "-ea",
            &tmp,
            "-cp",
            &path,
            class,
        ];
        all.extend(args);
        // What is configured of the machine itself, as Debian has it, and the jars.
        let settings = fs::read_dir("/etc").into_iter().flatten().flatten().map(|entry| entry.path());
        let settings = settings
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("java")));
        let readable: Vec<PathBuf> = settings.chain(self.jars.iter().chain(&self.junit).cloned()).collect();
        native::built(self.scratch, "java", &all, env, &readable, self.stop).map(|(how, _)| how)
    }
}

/// The folder from which `inside` leads to `folder`.
fn above(folder: &Path, inside: &str) -> Option<PathBuf> {
    let depth = inside.split('/').count();
    let root = folder.ancestors().nth(depth)?;
    (root.join(inside) == folder).then(|| root.to_path_buf())
}

fn has_ending(file: &str, ending: &str) -> bool {
    Path::new(file).extension().is_some_and(|one| one == ending)
}

/// One line of what the compiler says.
fn error(line: &str) -> Option<(String, u32, String)> {
    let (place, text) = line.split_once(": error: ")?;
    let (file, number) = place.rsplit_once(':')?;
    Some((file.to_owned(), number.parse().ok()?, text.to_owned()))
}

/// What the project's build or its tests name; the newer where nothing does.
fn flavour(scratch: &Scratch, builds: &[(&'static str, String)]) -> Flavour {
    for (_, text) in builds {
        if text.contains("jupiter") || text.contains("useJUnitPlatform") || text.contains("junit-bom") {
            return Flavour::Five;
        }
        if text.contains("<artifactId>junit</artifactId>") || text.contains("junit:junit") {
            return Flavour::Four;
        }
    }
    let tests = scratch.files.iter().filter(|file| file.ends_with("Test.java")).take(20);
    let mut texts = tests.filter_map(|file| fs::read_to_string(scratch.project().join(file)).ok());
    match texts.find(|text| text.contains("org.junit")) {
        Some(text) if !text.contains("org.junit.jupiter") => Flavour::Four,
        _ => Flavour::Five,
    }
}

/// Group and artifact of what a build file names.
fn dependencies(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in text.split("<dependency>").skip(1) {
        let tag = |name: &str| {
            let (_, rest) = part.split_once(&format!("<{name}>"))?;
            Some(rest.split_once('<')?.0.trim().to_owned())
        };
        found.extend(tag("groupId").zip(tag("artifactId")));
    }
    for word in text.split(['\'', '"']) {
        let parts: Vec<&str> = word.split(':').collect();
        if let [group, artifact, ..] = parts[..]
            && parts.len() <= 4
            && group.contains('.')
            && !word.contains(char::is_whitespace)
        {
            found.push((group.to_owned(), artifact.to_owned()));
        }
    }
    found
}

/// A jar of Maven's cache, the newest, or of the system.
fn installed(group: &str, artifact: &str) -> Option<PathBuf> {
    if [group, artifact].iter().any(|one| one.is_empty() || one.contains(['/', '$']) || one.contains("..")) {
        return None;
    }
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let cache = home.join(".m2/repository").join(group.replace('.', "/")).join(artifact);
    let mut versions: Vec<PathBuf> = fs::read_dir(cache)
        .map(|all| {
            all.flatten()
                .map(|one| {
                    let version = one.file_name().to_string_lossy().into_owned();
                    one.path().join(format!("{artifact}-{version}.jar"))
                })
                .filter(|jar| jar.is_file())
                .collect()
        })
        .unwrap_or_default();
    versions.sort();
    let system = || {
        let jar = Path::new("/usr/share/java").join(format!("{artifact}.jar"));
        jar.is_file().then_some(jar)
    };
    versions.pop().or_else(system)
}

/// The jars that tests of JUnit are compiled against; none if one is missing.
fn junit(flavour: Flavour) -> Vec<PathBuf> {
    let wanted: &[&[(&str, &str)]] = match flavour {
        Flavour::Five => &[
            &[("org.junit.jupiter", "junit-jupiter-api")],
            &[("org.junit.platform", "junit-platform-commons")],
            &[("org.opentest4j", "opentest4j")],
            &[("org.apiguardian", "apiguardian-api")],
        ],
        Flavour::Four => &[
            &[("junit", "junit4"), ("junit", "junit")],
            &[("org.hamcrest", "hamcrest-core"), ("org.hamcrest", "hamcrest")],
        ],
    };
    let each = wanted.iter().map(|names| names.iter().find_map(|(group, name)| installed(group, name)));
    each.collect::<Option<Vec<_>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_file_needs_is_found_in_its_text() {
        let maven = "<dependencies><dependency> <groupId>a.b</groupId>\n<artifactId>c</artifactId><version>1</version></dependency></dependencies>";
        assert_eq!(dependencies(maven), [("a.b".to_owned(), "c".to_owned())]);
        let gradle = "implementation 'com.google.guava:guava:31.1'\nurl \"https://x.y:80/z\"";
        assert!(dependencies(gradle).contains(&("com.google.guava".to_owned(), "guava".to_owned())));
    }

    #[test]
    fn the_root_of_sources_is_where_the_package_begins() {
        assert_eq!(above(Path::new("/p/src/a/b"), "a/b"), Some(PathBuf::from("/p/src")));
        assert_eq!(above(Path::new("/p/src/b"), "a/b"), None);
        let said = "/p/A.java:12: error: incompatible types: a: b";
        assert_eq!(error(said), Some(("/p/A.java".into(), 12, "incompatible types: a: b".into())));
    }
}
