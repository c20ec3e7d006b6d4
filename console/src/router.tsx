import { type AnchorHTMLAttributes, type MouseEvent, useEffect, useSyncExternalStore } from 'react';

/** Where the console is on its service. */
const BASE = '/console';
/** Told to everybody who shows something of the URL. */
const MOVED = 'bursar:moved';

function subscribe(notify: () => void): () => void {
  window.addEventListener('popstate', notify);
  window.addEventListener(MOVED, notify);
  return () => {
    window.removeEventListener('popstate', notify);
    window.removeEventListener(MOVED, notify);
  };
}

/** Moves to a page, such as `/grants?status=active`. Leaves the browser's back button working. */
export function navigate(to: string, { replace = false } = {}): void {
  const url = BASE + to;
  if (url === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  window.dispatchEvent(new Event(MOVED));
}

/** The path below `/console`, such as `/grants`. */
export function usePath(): string {
  const path = useSyncExternalStore(subscribe, () => location.pathname);
  return path.slice(BASE.length).replace(/\/$/, '') || '/';
}

/** A parameter of the URL with its setter, so that a filtered page can be shared. Empty is absent. */
export function useParam(name: string): [string, (value: string) => void] {
  const search = useSyncExternalStore(subscribe, () => location.search);
  const value = new URLSearchParams(search).get(name) ?? '';
  const set = (next: string) => {
    const parameters = new URLSearchParams(location.search);
    if (next === '') parameters.delete(name);
    else parameters.set(name, next);
    const text = parameters.toString();
    const path = location.pathname.slice(BASE.length);
    navigate(text === '' ? path : `${path}?${text}`, { replace: true });
  };
  return [value, set];
}

/** Link inside the console. */
export function Link({
  to,
  ...rest
}: { readonly to: string } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    rest.onClick?.(event);
    const isPlain = !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (event.defaultPrevented || event.button !== 0 || !isPlain) return;
    event.preventDefault();
    navigate(to);
    window.scrollTo(0, 0);
  };
  return <a {...rest} href={BASE + to} onClick={follow} />;
}

/** Names the page in the tab, for whoever has several and for a screen reader that hears of the change. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Bursar`;
  }, [title]);
}
