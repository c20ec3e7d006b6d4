import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect } from 'react';
import { call, idleMs, type Session, SIGNED_OUT } from './api.js';

const PATH = '/console/session';

const Current = createContext<Session | undefined>(undefined);

/** The person who is signed in. */
export function useSession(): Session {
  const session = useContext(Current);
  if (!session) throw new Error('only pages behind the sign-in ask who is signed in');
  return session;
}

/** Acts that not everybody may do. */
export type Act =
  | 'mint'
  | 'steer'
  | 'decide'
  | 'decide-raise'
  | 'treasury'
  | 'see-treasury'
  | 'webhooks';

const ROLES: Readonly<Record<Act, readonly Session['role'][]>> = {
  mint: ['admin', 'holder'],
  steer: ['admin', 'holder'],
  decide: ['admin', 'approver', 'holder'],
  'decide-raise': ['admin', 'holder'],
  treasury: ['admin'],
  'see-treasury': ['admin', 'approver', 'auditor'],
  webhooks: ['admin', 'holder'],
};

/** Whether the role allows an act at all. The server decides each one all the same. */
export function useMay(): (act: Act) => boolean {
  const { role } = useSession();
  return (act) => ROLES[act].includes(role);
}

/** Signs in with a token, which goes into no URL and no storage. */
export function signIn(token: string): Promise<unknown> {
  return call('POST', PATH, { body: { token } });
}

/** Whether people can sign in at an identity provider. */
export function useProvider(): boolean {
  const { data } = useQuery({
    queryKey: ['session', 'ways'],
    queryFn: () => call<{ provider: boolean }>('GET', `${PATH}/ways`),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return data?.provider ?? false;
}

/** Leaves for the identity provider, which leads back to this page. @param again - whether it must ask once more. */
export async function signInAtProvider({ again = false } = {}): Promise<void> {
  const place = location.pathname.replace(/^\/console/, '') || '/';
  const { url } = await call<{ url: string }>('POST', `${PATH}/login`, { body: { again, place } });
  location.assign(url);
  // The page is left; a button that waits for this waits until then.
  await new Promise(() => {});
}

/** Shows the token again, for what needs that. */
export function confirmSession(token: string): Promise<unknown> {
  return call('POST', `${PATH}/confirm`, { body: { token } });
}

/** Reads who is signed in, and shows the gate to everybody else. */
export function SessionGate({
  gate,
  children,
}: {
  gate: (onSignedIn: () => void, error: unknown) => ReactNode;
  children: ReactNode;
}) {
  const client = useQueryClient();
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['session'],
    queryFn: async () => (await call<{ session: Session }>('GET', PATH)).session,
    retry: false,
    refetchInterval: 60_000,
  });
  useEffect(() => {
    // Nothing that one person read may be shown to the next.
    const forget = () => {
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'session' });
      client.setQueryData(['session'], null);
    };
    window.addEventListener(SIGNED_OUT, forget);
    return () => window.removeEventListener(SIGNED_OUT, forget);
  }, [client]);
  useIdle(data ?? undefined);
  if (isPending) return null;
  if (!data) return gate(() => void refetch(), error);
  return <Current value={data}>{children}</Current>;
}

/** Signs out when nobody has touched the page for as long as the service waits. */
function useIdle(session: Session | undefined): void {
  const idleSeconds = session?.idleSeconds;
  useEffect(() => {
    if (idleSeconds === undefined) return;
    const timer = setInterval(() => {
      if (idleMs() > idleSeconds * 1_000) void signOut();
    }, 5_000);
    return () => clearInterval(timer);
  }, [idleSeconds]);
}

/** Ends the session at the service, then here. */
export async function signOut(): Promise<void> {
  await call('DELETE', PATH).catch(() => {});
  window.dispatchEvent(new Event(SIGNED_OUT));
}
