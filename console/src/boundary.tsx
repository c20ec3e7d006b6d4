import { Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';
import { Empty } from './parts/bits.js';

/** Shows what to do where a page cannot be drawn, such as after the service was upgraded and its files have new names. */
export class Boundary extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <Empty title="This page could not be drawn" isPage>
        <p>Nothing was changed. Read it again: the service may have been upgraded meanwhile.</p>
        <Button mt="sm" onClick={() => location.reload()}>
          Read it again
        </Button>
      </Empty>
    );
  }
}
