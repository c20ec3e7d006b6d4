import { Button } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import icon from '../icon.svg';
import { useApprovals, useRaises } from '../reads.js';
import { navigate } from '../router.js';

/** Where this browser keeps that somebody wants to be notified. */
const WANTED = 'bursar:notify';

const isSupported = 'Notification' in window;

/** Whether this browser shows notifications of what waits: somebody asked for them, and the browser lets it. */
function isOn(): boolean {
  return (
    isSupported && Notification.permission === 'granted' && localStorage.getItem(WANTED) !== null
  );
}

/** Switches the notifications of this browser on and off. */
export function NotifyButton() {
  const [isPressed, setPressed] = useState(isOn);
  const [isRefused, setRefused] = useState(false);
  if (!isSupported) return null;
  const toggle = async () => {
    if (isPressed) localStorage.removeItem(WANTED);
    else if ((await Notification.requestPermission()) === 'granted') {
      localStorage.setItem(WANTED, 'yes');
    } else setRefused(true);
    setPressed(isOn());
  };
  return (
    <>
      <Button variant="default" aria-pressed={isPressed} onClick={() => void toggle()}>
        Notify me
      </Button>
      {isRefused ? (
        <span className="soft" role="status">
          This browser refuses: allow notifications of this site in its settings.
        </span>
      ) : null}
    </>
  );
}

function show(waiting: number): void {
  try {
    // The lock screen may show it: no amount, payee or holder.
    const shown = new Notification('A decision waits', {
      body: `${waiting} in the inbox of Bursar`,
      icon,
      tag: 'bursar-inbox',
    });
    shown.onclick = () => {
      window.focus();
      navigate('/inbox');
      shown.close();
    };
  } catch {
    // Browsers of phones have the constructor, and let only a service worker use it.
  }
}

/** Shows a notification when a decision begins to wait while nobody looks at the page. */
export function useNotifications(): void {
  const approvals = useApprovals().data;
  const raises = useRaises().data;
  const known = useRef<ReadonlySet<string>>(undefined);
  useEffect(() => {
    if (!approvals || !raises) return;
    const ids = new Set([...approvals, ...raises].map(({ id }) => id));
    const before = known.current;
    known.current = ids;
    const isNew = before !== undefined && [...ids].some((id) => !before.has(id));
    if (!isNew || document.hasFocus() || !isOn()) return;
    show(ids.size);
  }, [approvals, raises]);
}
