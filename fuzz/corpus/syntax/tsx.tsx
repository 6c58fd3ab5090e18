Dimport type { P } from './p';
export function App<T,>({ a, ...p }: P & { a?: T[] }): JSX.Element {
  return <><B on={() => a && p} {...p}>text {a ? <i/> : null}</B></>;
}
