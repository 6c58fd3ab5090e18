import java.io.File;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jacoco.core.analysis.Analyzer;
import org.jacoco.core.analysis.CoverageBuilder;
import org.jacoco.core.data.ExecutionDataStore;
import org.jacoco.core.data.SessionInfo;
import org.jacoco.core.data.SessionInfoStore;
import org.jacoco.core.instr.Instrumenter;
import org.jacoco.core.runtime.LoggerRuntime;
import org.jacoco.core.runtime.RuntimeData;
import org.jacoco.report.DirectorySourceFileLocator;
import org.jacoco.report.IReportVisitor;
import org.jacoco.report.xml.XMLFormatter;

/** Runs a class with JaCoCo's probes in all classes of a folder, and writes JaCoCo's XML: CLASSES MAIN REPORT. */
public class Measure {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        LoggerRuntime runtime = new LoggerRuntime();
        Map<String, byte[]> classes = new HashMap<>();
        List<Path> files;
        try (Stream<Path> walk = Files.walk(folder)) {
            files = walk.filter(path -> path.toString().endsWith(".class")).collect(Collectors.toList());
        }
        for (Path file : files) {
            String name = folder.relativize(file).toString().replace(File.separatorChar, '.').replaceAll("\\.class$", "");
            classes.put(name, new Instrumenter(runtime).instrument(Files.readAllBytes(file), name));
        }
        RuntimeData data = new RuntimeData();
        runtime.startup(data);
        ClassLoader loader = new ClassLoader(ClassLoader.getPlatformClassLoader()) {
            @Override
            protected Class<?> findClass(String name) throws ClassNotFoundException {
                byte[] bytes = classes.get(name);
                if (bytes == null) throw new ClassNotFoundException(name);
                return defineClass(name, bytes, 0, bytes.length);
            }
        };
        loader.loadClass(arguments[1]).getMethod("main", String[].class).invoke(null, (Object) new String[0]);
        ExecutionDataStore executed = new ExecutionDataStore();
        data.collect(executed, new SessionInfoStore(), false);
        runtime.shutdown();
        CoverageBuilder coverage = new CoverageBuilder();
        new Analyzer(executed, coverage).analyzeAll(folder.toFile());
        try (OutputStream out = Files.newOutputStream(Path.of(arguments[2]))) {
            IReportVisitor visitor = new XMLFormatter().createVisitor(out);
            // The session's own name is the machine's.
            visitor.visitInfo(List.of(new SessionInfo("sample", 1_700_000_000_000L, 1_700_000_001_000L)), executed.getContents());
            visitor.visitBundle(coverage.getBundle("sample"), new DirectorySourceFileLocator(new File("."), "utf-8", 4));
            visitor.visitEnd();
        }
    }
}
