import { Button, Modal, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { explain } from './bits.js';

/** Runs an act, then reads again whatever is on the screen. */
export function useAct<Input, Output>(
  run: (input: Input) => Promise<Output>,
  onDone: (output: Output) => void = () => {},
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSuccess: (output) => {
      void client.invalidateQueries();
      onDone(output);
    },
  });
}

/** A dialog. The page behind it stays where it is. */
export function Dialog({
  title,
  close,
  children,
  size = 'lg',
}: {
  title: string;
  close: () => void;
  children: ReactNode;
  size?: string;
}) {
  return (
    <Modal
      opened
      onClose={close}
      title={<strong>{title}</strong>}
      size={size}
      lockScroll={false}
      // A click beside it would lose what was typed, or a token that is shown once.
      closeOnClickOutside={false}
      transitionProps={{ duration: 0 }}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {children}
    </Modal>
  );
}

/** A dialog's form. It keeps what was typed, and says what went wrong beside the button. */
export function DialogForm({
  submit,
  isPending,
  error,
  label,
  isBad = false,
  isReady = true,
  close,
  children,
}: {
  submit: () => void;
  isPending: boolean;
  error: unknown;
  label: string;
  isBad?: boolean;
  isReady?: boolean;
  close: () => void;
  children: ReactNode;
}) {
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    submit();
  };
  return (
    <form className="form" onSubmit={onSubmit}>
      {children}
      {error ? (
        <p className="note bad" role="alert">
          {explain(error)}
        </p>
      ) : null}
      <div className="acts">
        <Button
          type="submit"
          {...(isBad ? { color: 'var(--danger)' } : {})}
          loading={isPending}
          disabled={!isReady}
        >
          {label}
        </Button>
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

/** The reason of an act, for the log. */
export function Reason({
  value,
  set,
  isRequired = false,
}: {
  value: string;
  set: (text: string) => void;
  isRequired?: boolean;
}) {
  return (
    <Textarea
      label="Reason"
      description="Stands in the audit log for good."
      value={value}
      onChange={(event) => set(event.currentTarget.value)}
      required={isRequired}
      maxLength={1_000}
      rows={2}
      data-autofocus
    />
  );
}

/** An act that takes a reason and nothing else. */
export function ReasonDialog({
  title,
  label,
  text,
  run,
  close,
  isBad = false,
}: {
  title: string;
  label: string;
  text: string;
  run: (reason: string | undefined) => Promise<unknown>;
  close: () => void;
  isBad?: boolean;
}) {
  const [reason, setReason] = useState('');
  const act = useAct(run, close);
  return (
    <Dialog title={title} close={close}>
      <DialogForm
        submit={() => act.mutate(reason.trim() === '' ? undefined : reason.trim())}
        isPending={act.isPending}
        error={act.error}
        label={label}
        isBad={isBad}
        close={close}
      >
        <p>{text}</p>
        <Reason value={reason} set={setReason} />
      </DialogForm>
    </Dialog>
  );
}
