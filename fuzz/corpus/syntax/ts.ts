Eabstract class A<T extends object = {}> implements I {
  constructor(private readonly a: string | undefined, @Inject() b?: number) { super(); }
  @log async f<K extends keyof T>(k: K, v = this.a!): Promise<T[K]> { return (v as any)?.[k] ?? await g<T>(k); }
}
namespace N { export enum E { A = 1, B = `x` } declare function g(): asserts x is string; }
type M = { [K in keyof A]?: A[K] extends infer U ? U : never };
function o(x: string): void; function o(x: any) { if (x) { } }
