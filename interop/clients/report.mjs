// `ok NAME` and `not ok NAME: reason` lines, and the exit code that follows from them.

/** Longest time that one check may take, in milliseconds. */
const LIMIT_MS = 60_000;

/** Fails the check that runs, unless `condition`. */
export function expect(condition, reason) {
    if (!condition) throw new Error(reason);
}

/** Runs one check and prints its line; a note that it returns is printed with it. */
export async function check(name, body, limitMs = LIMIT_MS) {
    let timer;
    const limit = new Promise((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
    });
    try {
        const note = await Promise.race([body(), limit]);
        console.log(note ? `ok ${name} # ${note}` : `ok ${name}`);
        return true;
    } catch (error) {
        const reason = (error?.message ?? String(error)).replaceAll('\n', ' ').slice(0, 500);
        console.log(`not ok ${name}: ${reason}`);
        process.exitCode = 1;
        return false;
    } finally {
        clearTimeout(timer);
    }
}
